import { configDefaults, defineConfig } from "vitest/config";

/** What a user meets takes minutes of starting programs: left out of `make test`, in with NEXUS_TEST_ALL=1 (.ci/run). */
const apart = process.env["NEXUS_TEST_ALL"] === "1" ? [] : ["e2e/user/**"];

/** They wait for programs to start and say what these print: two of them at a time keep two cores busy. */
const beside = ["bundle", "cli", "cli-verbs", "examples", "folders", "http", "stranger", "tour"].map(
  (name) => `e2e/${name}.test.ts`,
);
const besides = [...beside, "e2e/user/**/*.test.ts"];

const common = { pool: "forks", testTimeout: 180_000, hookTimeout: 120_000 } as const;

/** Real processes. What breaks boxes under load has the machine for itself, one file at a time. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: "two at a time",
          include: besides,
          exclude: [...configDefaults.exclude, ...apart],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: "alone",
          include: ["e2e/**/*.test.ts"],
          exclude: [...configDefaults.exclude, ...besides],
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
