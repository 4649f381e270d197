import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { type KindInfo, kindNames, kinds } from "../api/kinds.ts";
import { crdOf } from "./crd.ts";
import { generated } from "./outputs.ts";
import { type Json, structural, structuralOf } from "./structural.ts";

const root = resolve(import.meta.dirname, "../../..");

describe("what is generated is what is committed (else: npm run gen)", () => {
  test.each([...generated()])("%s", (path, text) => {
    expect(readFileSync(join(root, path), "utf8")).toBe(text);
  });
});

test("a keyword that has no structural form stops the generator", () => {
  expect(() => structural({ type: "string", format: "uri" }, "spec.url")).toThrow('spec.url: "format" has no form');
  expect(() => structuralOf(z.strictObject({ a: z.union([z.string(), z.int()]) }))).toThrow('"anyOf"');
  expect(() => structuralOf(z.strictObject({ a: z.tuple([z.string()]) }))).toThrow("has no form");
  expect(() => structuralOf(z.strictObject({ a: z.any() }))).toThrow("needs a type");
});

describe.each(kindNames)("the CRD of %s", (kind) => {
  const crd = crdOf(kinds[kind] as KindInfo) as { spec: { versions: { schema: { openAPIV3Schema: Json } }[] } };
  const schema = crd.spec.versions[0]!.schema.openAPIV3Schema;
  const nodes: [string, Json][] = [];
  const walk = (node: Json, path: string) => {
    nodes.push([path, node]);
    for (const [name, child] of Object.entries((node["properties"] ?? {}) as Record<string, Json>))
      walk(child, `${path}.${name}`);
    if (node["items"]) walk(node["items"] as Json, `${path}[]`);
  };
  for (const part of ["spec", "status"]) walk((schema["properties"] as Record<string, Json>)[part]!, part);

  test("bounds every text, list and map, so that its rules stay cheap", () => {
    for (const [path, node] of nodes) {
      if (node["type"] === "string" && !node["enum"]) expect(node["maxLength"], path).toBeGreaterThan(0);
      if (node["type"] === "array") expect(node["maxItems"], path).toBeGreaterThan(0);
      if (node["additionalProperties"]) expect(node["maxProperties"], path).toBeGreaterThan(0);
    }
  });

  test("describes every field", () => {
    for (const [path, node] of nodes) {
      if (path === "spec" || path === "status" || path.endsWith("[]")) continue;
      expect(String(node["description"] ?? ""), path).toMatch(/\w.*\.$/s);
    }
  });

  test("has rules only about fields that exist, immutable ones always set", () => {
    const spec = (schema["properties"] as Record<string, Json>)["spec"]!;
    for (const { fieldPath, rule } of spec["x-kubernetes-validations"] as { fieldPath: string; rule: string }[]) {
      const path = `spec${fieldPath}`;
      const node = nodes.find(([each]) => each === path)?.[1];
      expect(node, path).toBeDefined();
      if (rule !== `self${fieldPath} == oldSelf${fieldPath}`) continue;
      const parent = nodes.find(([each]) => each === path.slice(0, path.lastIndexOf(".")))![1];
      const required = ((parent["required"] ?? []) as string[]).includes(path.slice(path.lastIndexOf(".") + 1));
      expect(required || node!["default"] !== undefined, path).toBe(true);
    }
  });
});
