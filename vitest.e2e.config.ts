import { defineConfig } from "vitest/config";

/** Real processes: one file at a time, so that timings mean something on two cores. */
export default defineConfig({
  test: {
    include: ["e2e/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});
