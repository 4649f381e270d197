// Building blocks of the resource schemas. Every list, map and string carries a bound (an unbounded one makes CEL rules
// too dear for the API server), every field a description that says unit, default and consequence, because the CRDs and
// the reference pages are made from them.
import * as z from "zod";

export const nameLengthMax = 52;
export const namePattern = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
/** Go duration strings, without signs: what CEL's duration() and Go's ParseDuration both take. */
const durationPattern = /^([0-9]{1,12}(\.[0-9]{1,9})?(ns|us|ms|s|m|h))+$/;
const quantityPattern = /^[0-9]{1,12}(\.[0-9]{1,6})?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$/;
const endpointPattern = /^(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?):[0-9]{1,5}$/;
const mountPathPattern = /^(\/[^/*]+)+$/;
/** No segment is . or .. */
const prefixPattern = /^(\/|(\/([^/.][^/]*|\.[^/.][^/]*|\.\.[^/]+))+)$/;
const accountPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?\/(\*|[a-z0-9]([-a-z0-9.]*[a-z0-9])?)$/;
const pathPatternPattern = /^(\/([^/*]+|\*))*\/\*\*?$/;

/** A string of at most `max` characters. */
export function text(max: number): z.ZodString {
  return z.string().min(1).max(max);
}

/** The name of another resource of the same namespace. */
export function resourceName(): z.ZodString {
  return text(nameLengthMax).regex(namePattern, "is not a lower-case DNS label (a-z, 0-9, '-', letter first)");
}

export function duration(): z.ZodString {
  return text(32).regex(durationPattern, 'is not a duration such as "10s", "150ms" or "168h"');
}

export function quantity(): z.ZodString {
  return text(24).regex(quantityPattern, 'is not an amount such as "20Gi"');
}

export function endpoint(): z.ZodString {
  return text(260).regex(endpointPattern, 'is not "host:port"');
}

export function mountPath(): z.ZodString {
  return text(1024).regex(mountPathPattern, 'is not an absolute path such as "/cn/data"');
}

export function pathPattern(): z.ZodString {
  return text(1024).regex(
    pathPatternPattern,
    "is not a pattern: literal segments or *, and a last /* or /** for the whole subtree, such as /cn/**",
  );
}

/** A path and all below it. */
export function pathPrefix(): z.ZodString {
  return text(1024).regex(prefixPattern, 'is not "/" or a path without a slash at its end, such as /shop/orders');
}

/** A service account, or all of a namespace. */
export function accountName(): z.ZodString {
  return text(317).regex(accountPattern, "is not NAMESPACE/NAME, or NAMESPACE/* for all of a namespace");
}

/** Revision of a declaration, for several clusters that read the same Git. */
export function revision() {
  return z
    .int()
    .min(1)
    .max(2 ** 31 - 1)
    .optional()
    .describe(
      "Number that grows with every change of this declaration. Required once the Federation lists two clusters: the leader refuses an older one, so that a cluster that is behind in Git undoes nothing. Without it, in one cluster, the last apply wins.",
    );
}

export function stateField() {
  return z
    .enum(["Active", "Retired"])
    .default("Active")
    .describe(
      "Active: in use (default). Retired: taken out of the federation in every cluster; data is kept for `retention`, and setting Active again before that brings it back.",
    );
}

/** A list whose items are told apart by `key`; Kubernetes merges it by that key and refuses duplicates, and so do we. */
export function mapList<T extends z.ZodType>(item: T, key: string, limits: { min?: number; max: number }) {
  return z
    .array(item)
    .min(limits.min ?? 0)
    .max(limits.max)
    .superRefine((items, context) => {
      refuseRepeats(
        items.map((each) => (each as Record<string, unknown>)[key]),
        key,
        context,
      );
    })
    .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key] });
}

/** A list of distinct values. */
export function setList<T extends z.ZodType>(item: T, limits: { min?: number; max: number }) {
  return z
    .array(item)
    .min(limits.min ?? 0)
    .max(limits.max)
    .superRefine((items, context) => refuseRepeats(items, "", context))
    .meta({ "x-kubernetes-list-type": "set" });
}

/** A map of short strings, as labels and annotations are. */
export function stringMap(limits: { entriesMax: number; valueLengthMax: number }) {
  return z
    .record(z.string().max(317), z.string().max(limits.valueLengthMax))
    .refine((map) => Object.keys(map).length <= limits.entriesMax, `has more than ${limits.entriesMax} entries`)
    .meta({ maxProperties: limits.entriesMax });
}

/** Any object: what Kubernetes itself defines and checks (pod specs). */
export function anyObject() {
  return z.looseObject({}).meta({ "x-kubernetes-preserve-unknown-fields": true });
}

function refuseRepeats(values: unknown[], key: string, context: z.RefinementCtx): void {
  const seen = new Set<unknown>();
  for (const [index, value] of values.entries()) {
    if (seen.has(value)) {
      context.addIssue({
        code: "custom",
        path: key === "" ? [index] : [index, key],
        message: `names ${JSON.stringify(value)} a second time`,
      });
    }
    seen.add(value);
  }
}
