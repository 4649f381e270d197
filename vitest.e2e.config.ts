import { configDefaults, defineConfig } from "vitest/config";

/** What a user meets takes minutes of starting programs: left out of `make test`, in with NEXUS_TEST_ALL=1 (.ci/run). */
const apart = process.env["NEXUS_TEST_ALL"] === "1" ? [] : ["e2e/user/**"];

/** Real processes: one file at a time, so that timings mean something on two cores. */
export default defineConfig({
  test: {
    include: ["e2e/**/*.test.ts"],
    exclude: [...configDefaults.exclude, ...apart],
    pool: "forks",
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});
