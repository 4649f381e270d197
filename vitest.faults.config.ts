import { defineConfig } from "vitest/config";

/** The long versions of what e2e shows in short: `npm run faults`; NEXUS_FAULTS=30 kills of each kind instead of 100. */
export default defineConfig({
  test: {
    include: ["e2e/faults/*.faults.ts"],
    pool: "forks",
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 3_600_000,
    hookTimeout: 120_000,
  },
});
