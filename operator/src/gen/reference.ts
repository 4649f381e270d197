import { errorCodes, errorKinds } from "@nexus-federation/node/base/errors.ts";
import type { MetricDefinition } from "@nexus-federation/node/telemetry/metric-definition.ts";
import { conditionTypes } from "../api/conditions.ts";
import { apiVersion, type KindInfo, kindNames, kinds } from "../api/kinds.ts";
import { cell, generatedMark } from "./page.ts";
import { type Json, structuralOf } from "./structural.ts";

/** docs/reference/resources.md */
export function resourcesPage(): string {
  const parts = [
    generatedMark,
    "# Resources",
    `API version \`${apiVersion}\`. All kinds are namespaced; a namespace is one federation.`,
  ];
  for (const kind of kindNames) parts.push(...kindSection(kinds[kind] as KindInfo));
  return `${parts.join("\n\n")}\n`;
}

function kindSection(info: KindInfo): string[] {
  const rows: string[] = [];
  fieldRows(structuralOf(info.spec), "spec", rows);
  const rules = info.rules.map((rule) => `- \`spec.${rule.field}\`: ${rule.sentence}`);
  return [
    `## ${info.kind}`,
    `${info.purpose} Short name \`${info.shortName}\`.`,
    ["| field | type | default | meaning |", "|---|---|---|---|", ...rows].join("\n"),
    "Rules:",
    rules.join("\n"),
    `Conditions: ${conditionTypes[info.kind].map((type) => `\`${type}\``).join(", ")}.`,
  ];
}

function fieldRows(node: Json, path: string, rows: string[]): void {
  const required = new Set((node["required"] as string[] | undefined) ?? []);
  for (const [name, child] of Object.entries((node["properties"] as Record<string, Json> | undefined) ?? {})) {
    const at = `${path}.${name}`;
    const initial = required.has(name)
      ? "required"
      : child["default"] === undefined
        ? ""
        : `\`${JSON.stringify(child["default"])}\``;
    rows.push(
      `| \`${at}\` | ${cell(typeText(child))} | ${cell(initial)} | ${cell(String(child["description"] ?? ""))} |`,
    );
    fieldRows(child, at, rows);
    const items = child["items"] as Json | undefined;
    if (items?.["properties"]) fieldRows(items, `${at}[]`, rows);
  }
}

function typeText(node: Json): string {
  const values = node["enum"] as unknown[] | undefined;
  if (values) return values.map((value) => `\`${value}\``).join(" or ");
  if (node["type"] === "array") return `list of ${typeText(node["items"] as Json)}`;
  if (node["type"] === "object") return "map";
  return node["type"] === "string" ? "text" : String(node["type"]);
}

/** docs/reference/errors.md */
export function errorsPage(): string {
  const rows = errorCodes.map((code) => {
    const { http, grpc, retryable, meaning, advice } = errorKinds[code];
    return `| \`${code}\` | ${http} | ${grpc} | ${retryable ? "yes" : "no"} | ${cell(meaning)} | ${cell(advice)} |`;
  });
  const head = ["| code | HTTP | gRPC | retry | meaning | what to do |", "|---|---|---|---|---|---|"];
  const words =
    "Every refusal carries one of these codes on every door. `retry` says whether the same request, with the same request id, may succeed later by itself.";
  return `${[generatedMark, "# Error codes", words, [...head, ...rows].join("\n")].join("\n\n")}\n`;
}

/** docs/reference/metrics.md */
export function metricsPage(of: { boxes: readonly MetricDefinition[]; operator: readonly MetricDefinition[] }): string {
  const parts = [
    generatedMark,
    "# Metrics",
    "Served at `/metrics` of every box.",
    metricTable(of.boxes),
    "## The operator",
    "Served at `/metrics` of its port 8081.",
    metricTable(of.operator),
  ];
  return `${parts.join("\n\n")}\n`;
}

function metricTable(metrics: readonly MetricDefinition[]): string {
  const rows = metrics.map(
    ({ name, kind, unit, labels, help }) =>
      `| \`${name}\` | ${kind} | ${unit} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${cell(help)} |`,
  );
  return ["| name | kind | unit | labels | meaning |", "|---|---|---|---|---|", ...rows].join("\n");
}
