// The files of examples/gitops: what Argo CD and Flux would make of our conditions, by the text that they are given.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Environment } from "@marcbachmann/cel-js";
import { kindNames } from "@nexus-federation/operator/api/kinds.ts";
import { expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";

const folder = resolve(import.meta.dirname, "../examples/gitops");
const read = (path: string) => readFileSync(join(folder, path), "utf8");
const lua = spawnSync("lua5.4", ["-v"]).status === 0;
if (!lua) console.warn("SKIPPED: health.lua is run with lua5.4 (Debian: apt-get install lua5.4)");

interface Case {
  what: string;
  status?: {
    observedGeneration?: number;
    conditions?: { type: string; status: string; reason: string; message: string }[];
  };
  argo: string;
  flux: "current" | "inProgress" | "failed" | "unknown";
}
const condition = (type: string, status: string, reason = type) => ({
  type,
  status,
  reason,
  message: `it's "${reason}"`,
});
const at = (generation: number, ...conditions: ReturnType<typeof condition>[]) => ({
  observedGeneration: generation,
  conditions,
});
const quiet = [condition("Reconciling", "False"), condition("Stalled", "False")];
const cases: Case[] = [
  { what: "nobody has looked at", argo: "Progressing", flux: "inProgress", status: {} },
  {
    what: "of an older generation",
    argo: "Progressing",
    flux: "inProgress",
    status: at(1, condition("Ready", "True"), ...quiet),
  },
  { what: "that is ready", argo: "Healthy", flux: "current", status: at(2, condition("Ready", "True"), ...quiet) },
  {
    what: "of another cluster",
    argo: "Healthy",
    flux: "current",
    status: at(2, condition("Ready", "True", "NotManagedHere"), ...quiet),
  },
  {
    what: "that is being made",
    argo: "Progressing",
    flux: "inProgress",
    status: at(2, condition("Ready", "False", "NotRunning"), condition("Reconciling", "True")),
  },
  {
    what: "that is stalled",
    argo: "Degraded",
    flux: "failed",
    status: at(
      2,
      condition("Ready", "False"),
      condition("Stalled", "True", "DataLost"),
      condition("Reconciling", "False"),
    ),
  },
  {
    what: "that sleeps on purpose",
    argo: "Suspended",
    flux: "current",
    status: at(2, condition("Ready", "False", "Hibernated"), ...quiet),
  },
  {
    what: "that is not ready and nobody works on",
    argo: "Degraded",
    flux: "unknown",
    status: at(2, condition("Ready", "False", "Other"), ...quiet),
  },
];

test("the ConfigMap of Argo CD holds health.lua", () => {
  expect(parse(read("argocd/argocd-cm.yaml")).data["resource.customizations.health.federation.nexus.io_*"]).toBe(
    read("argocd/health.lua"),
  );
});

test.skipIf(!lua).each(cases)("Argo CD: a resource $what is $argo", ({ status, argo }) => {
  const object = { metadata: { generation: 2 }, ...(status && Object.keys(status).length > 0 ? { status } : {}) };
  const program = `obj = ${luaOf(object)}\nlocal found = (function()\n${read("argocd/health.lua")}end)()\nprint(found.status)\nprint(found.message)`;
  const ran = spawnSync("lua5.4", ["-"], { input: program, encoding: "utf8" });

  expect(ran.stderr).toBe("");
  expect(ran.stdout.split("\n")[0]).toBe(argo);
  expect(ran.stdout.split("\n")[1]).not.toBe("");
});

const kustomization = parseAllDocuments(read("flux/kustomization.yaml"))
  .map((document) => document.toJS())
  .find(({ kind }) => kind === "Kustomization");

test("Flux is told of every kind", () => {
  expect(kustomization.spec.healthCheckExprs.map(({ kind }: { kind: string }) => kind).sort()).toEqual(
    [...kindNames].sort(),
  );
});

test.each(cases)("Flux: a resource $what is $flux", ({ status, flux }) => {
  const cel = new Environment({ unlistedVariablesAreDyn: true });
  const world = { status: ints(status ?? {}), metadata: { generation: 2n } };
  for (const check of kustomization.spec.healthCheckExprs) {
    const order = ["inProgress", "failed", "current"] as const;
    const found = order.find((name) => cel.parse(check[name])(world) === true) ?? "unknown";
    expect(found, check.kind).toBe(flux);
  }
});

function ints(value: unknown): unknown {
  if (typeof value === "number") return BigInt(value);
  if (Array.isArray(value)) return value.map(ints);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, ints(field)]));
}

/** The value as Lua writes it. */
function luaOf(value: unknown): string {
  if (Array.isArray(value)) return `{${value.map(luaOf).join(", ")}}`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([key, field]) => `[${JSON.stringify(key)}] = ${luaOf(field)}`);
  return `{${fields.join(", ")}}`;
}
