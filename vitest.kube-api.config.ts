import { defineConfig } from "vitest/config";

/** Suites against a real API server and etcd (processes on loopback): one file at a time, one control plane for all. */
export default defineConfig({
  test: {
    include: ["e2e/kube-api/*.kube-api.ts"],
    globalSetup: ["e2e/kube-api/harness/control-plane.ts"],
    pool: "forks",
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
