// Says of one object (as read from YAML or JSON) whether it is a good resource, and if not: which field, and why.
import { systemZone } from "@nexus-federation/node/tree/system-zone.ts";
import * as z from "zod";
import { nameLengthMax, namePattern } from "./fields.ts";
import { apiVersion, type Kind, kindNames, kinds, type Metadata, type Resource } from "./kinds.ts";

/** Why an object is refused. */
export interface FieldFault {
  /** From the object's root; numbers are list positions. */
  path: (string | number)[];
  /** Continues the sentence "spec.members[0].role ...", or stands alone after a colon. */
  reason: string;
}

/** `field.list[0].key` */
export function printPath(path: readonly (string | number)[]): string {
  let out = "";
  for (const part of path) out += typeof part === "number" ? `[${part}]` : out === "" ? part : `.${part}`;
  return out;
}

/** Annotations and labels are kept; what the API server adds to metadata is ignored. */
const metadataSchema = z.looseObject({
  name: z
    .string()
    .max(nameLengthMax)
    .regex(namePattern, `is not a lower-case DNS label of at most ${nameLengthMax} characters, letter first`),
  namespace: z.string().max(63).optional(),
  labels: z.record(z.string().max(317), z.string().max(63)).default({}),
  annotations: z.record(z.string().max(317), z.string().max(65_536)).default({}),
});

const topKeys = new Set(["apiVersion", "kind", "metadata", "spec", "status"]);

/**
 * The resource with its defaults, or every fault of schema and single-object rules. `earlier` is the same object as it
 * is in force now.
 */
export function checkObject(
  object: unknown,
  earlier?: (kind: Kind, name: string) => Resource | undefined,
): { resource: Resource } | { faults: FieldFault[] } {
  if (typeof object !== "object" || object === null || Array.isArray(object))
    return { faults: [{ path: [], reason: "a resource is a map with apiVersion, kind, metadata and spec" }] };
  const raw = object as Record<string, unknown>;
  if (raw["apiVersion"] !== apiVersion)
    return { faults: [{ path: ["apiVersion"], reason: `must be ${apiVersion}, got ${print(raw["apiVersion"])}` }] };
  if (!kindNames.includes(raw["kind"] as Kind))
    return {
      faults: [{ path: ["kind"], reason: `must be one of ${kindNames.join(", ")}, got ${print(raw["kind"])}` }],
    };
  const kind = raw["kind"] as Kind;
  const faults: FieldFault[] = [];
  for (const key of Object.keys(raw))
    if (!topKeys.has(key)) faults.push({ path: [key], reason: `is not a field of ${kind}` });
  const metadata = metadataSchema.safeParse(raw["metadata"] ?? {});
  if (!metadata.success) faults.push(...faultsOf(metadata.error, ["metadata"], raw["metadata"]));
  const spec = kinds[kind].spec.safeParse(raw["spec"] ?? {});
  if (!spec.success) faults.push(...faultsOf(spec.error, ["spec"], raw["spec"]));
  if (!metadata.success || !spec.success || faults.length > 0) return { faults };
  const { name, labels, annotations } = metadata.data;
  const resource = { kind, metadata: { name, labels, annotations } satisfies Metadata, spec: spec.data } as Resource;
  faults.push(...nameFaults(resource), ...ruleFaults(resource, earlier?.(kind, name)));
  return faults.length > 0 ? { faults } : { resource };
}

function nameFaults({ kind, metadata }: Resource): FieldFault[] {
  const path = ["metadata", "name"];
  if (kind === "Federation" && metadata.name !== "federation")
    return [{ path, reason: "the Federation is always named federation" }];
  if (kind === "ConsensusZone" && metadata.name === systemZone)
    return [{ path, reason: "the name system belongs to the zone of rules and boxes" }];
  return [];
}

/** Rules of one object; transition rules only where there is an earlier state. */
function ruleFaults(resource: Resource, earlier: Resource | undefined): FieldFault[] {
  const rules = kinds[resource.kind].rules as {
    field: string;
    sentence: string;
    transition?: true;
    holds: (a: unknown, b: unknown) => boolean;
  }[];
  const faults: FieldFault[] = [];
  for (const rule of rules) {
    if (rule.transition && !earlier) continue;
    if (!rule.holds(resource.spec, (earlier ?? resource).spec))
      faults.push({ path: ["spec", ...rule.field.split(".")], reason: rule.sentence });
  }
  return faults;
}

function faultsOf(error: z.ZodError, root: string[], input: unknown): FieldFault[] {
  return error.issues.flatMap((issue) => {
    const path = [...root, ...(issue.path as (string | number)[])];
    if (issue.code === "unrecognized_keys")
      return issue.keys.map((key) => ({ path: [...path, key], reason: "is not a field here" }));
    return [{ path, reason: reasonOf(issue, valueAt(input, issue.path)) }];
  });
}

function reasonOf(issue: z.core.$ZodIssue, value: unknown): string {
  switch (issue.code) {
    case "invalid_type":
      return value === undefined ? "is required" : `must be ${article(issue.expected)}, got ${print(value)}`;
    case "invalid_value":
      return value === undefined
        ? "is required"
        : `must be ${issue.values.map(print).join(" or ")}, got ${print(value)}`;
    case "too_big":
      return `is too ${issue.origin === "string" || issue.origin === "array" ? "long" : "large"}: at most ${issue.maximum}`;
    case "too_small":
      return `is too ${issue.origin === "string" || issue.origin === "array" ? "short" : "small"}: at least ${issue.minimum}`;
    case "invalid_format":
    case "custom":
      return issue.message.startsWith("Invalid")
        ? `has a wrong form: ${print(value)}`
        : `${issue.message}${issue.code === "custom" ? "" : `: ${print(value)}`}`;
    default:
      return issue.message;
  }
}

function article(expected: string): string {
  const words: Record<string, string> = {
    object: "a map",
    record: "a map",
    array: "a list",
    string: "a text",
    int: "a whole number",
    number: "a number",
    boolean: "true or false",
  };
  return words[expected] ?? expected;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let at: unknown = input;
  for (const key of path) {
    if (typeof at !== "object" || at === null) return undefined;
    at = (at as Record<PropertyKey, unknown>)[key];
  }
  return at;
}

function print(value: unknown): string {
  const shown = value === undefined ? "nothing" : (JSON.stringify(value) ?? String(value));
  return shown.length > 80 ? `${shown.slice(0, 77)}...` : shown;
}
