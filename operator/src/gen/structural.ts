// A zod schema as the API server takes it: a structural OpenAPI v3 schema. One pass that inlines, drops what means the
// same without it, and throws on every keyword it does not know: a keyword that is silently lost is a rule that a cluster
// does not enforce.
import * as z from "zod";

export type Json = Record<string, unknown>;

/** Keywords that are carried over as they are. */
const carried = new Set([
  "type",
  "description",
  "default",
  "enum",
  "pattern",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "maxProperties",
  "required",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-preserve-unknown-fields",
]);

export function structuralOf(schema: z.ZodType): Json {
  return structural(z.toJSONSchema(schema, { target: "openapi-3.0", io: "input", reused: "inline" }) as Json, "");
}

/** `path` is for messages. */
export function structural(node: Json, path: string): Json {
  const out: Json = {};
  for (const [keyword, value] of Object.entries(node)) {
    if (carried.has(keyword)) out[keyword] = value;
    else if (keyword === "properties") {
      const entries = Object.entries(value as Record<string, Json>).map(([name, child]) => [
        name,
        structural(child, `${path}.${name}`),
      ]);
      if (entries.length > 0) out[keyword] = Object.fromEntries(entries);
    } else if (keyword === "items") out[keyword] = structural(value as Json, `${path}[]`);
    else if (keyword === "additionalProperties") {
      // Closed objects are what structural schemas are anyway: unknown fields are refused or pruned.
      const open = node["x-kubernetes-preserve-unknown-fields"] === true;
      if (value !== false && !open) out[keyword] = structural(value as Json, `${path}.*`);
    } else if (keyword !== "$schema" && keyword !== "~standard") {
      throw new Error(`${path || "the schema"}: "${keyword}" has no form in a structural schema`);
    }
  }
  if (typeof out["type"] !== "string") throw new Error(`${path || "the schema"}: a structural schema needs a type`);
  return out;
}
