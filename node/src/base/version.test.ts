import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { version } from "./version.ts";

const root = resolve(import.meta.dirname, "../../..");

test.each([".", "proto", "node", "operator", "cli"])("package %s has the version that its boxes tell", (folder) => {
  expect(JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")).version).toBe(version);
});

test("so has the chart, which takes its images by it", () => {
  const chart = readFileSync(join(root, "charts/nexus/Chart.yaml"), "utf8");
  expect(chart).toContain(`\nversion: ${version}\nappVersion: ${version}\n`);
});
