import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { metricList } from "@nexus-federation/node/telemetry/metrics.ts";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { runtimeMetricList } from "../runtime/metrics.ts";
import { panels } from "./dashboard.ts";
import { chartValues } from "./values.ts";

const root = resolve(import.meta.dirname, "../../..");
const chart = join(root, "charts/nexus");

interface Alert {
  alert: string;
  expr: string;
  annotations: { summary: string; runbook_url: string };
}
const alerts = (parse(readFileSync(join(chart, "files/alerts.yaml"), "utf8")).groups as { rules: Alert[] }[]).flatMap(
  (group) => group.rules,
);
const known = new Set([...Object.values(metricList), ...Object.values(runtimeMetricList)].map((metric) => metric.name));

/** Names of ours in an expression, without what a histogram adds. */
function metricsIn(expression: string): string[] {
  return (expression.match(/\b(nexus|workqueue)_[a-z_]+/g) ?? []).map((name) => name.replace(/_bucket$/, ""));
}

test("every alert and every panel asks for metrics that exist", () => {
  const expressions = [...alerts.map((rule) => rule.expr), ...panels.flatMap((panel) => Object.values(panel.series))];

  const unknown = expressions.flatMap(metricsIn).filter((name) => !known.has(name));

  expect(unknown).toEqual([]);
});

test("every alert says what happens and links to a runbook that is there", () => {
  for (const { alert, annotations } of alerts) {
    expect(annotations.summary, alert).toMatch(/\.$/);
    const page = /^RUNBOOKS\/(.+)$/.exec(annotations.runbook_url)?.[1] ?? "none";
    expect(existsSync(join(root, "docs/runbooks", page)), `${alert}: ${page}`).toBe(true);
  }
});

test("the values are what their schema says", () => {
  const values = parse(readFileSync(join(chart, "values.yaml"), "utf8"));

  expect(chartValues.parse(values)).toEqual(values);
});
