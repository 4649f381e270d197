import { defineConfig } from "vitest/config";

/** Unit, property and house tests. Real-process suites have their own configuration (vitest.e2e.config.ts). */
export default defineConfig({
  test: {
    include: ["{node,operator,cli,bench,test}/**/*.test.ts"],
    exclude: ["**/node_modules/**", "e2e/**"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
  },
});
