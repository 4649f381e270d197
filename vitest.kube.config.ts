import { defineConfig } from "vitest/config";

/** Scenarios on a real cluster with real pods, one at a time: they kill nodes under each other's feet otherwise. */
export default defineConfig({
  test: {
    include: ["e2e/kube/**/*.kube.ts"],
    globalSetup: ["e2e/cluster/suite.ts"],
    pool: "forks",
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 300_000,
    teardownTimeout: 60_000,
  },
});
