// What the caches show of one federation's namespace. Read once a round, so that a round speaks of one moment.
import type { KubeObject } from "../../runtime/objects.ts";

export interface NamespaceView {
  namespace: string;
  /** The namespace itself is being deleted. */
  terminating: boolean;
  /** Our own resources: Federation, Box, RaftGroup, ConsensusZone, Mount. */
  own: readonly KubeObject[];
  /** By name. */
  statefulSets: ReadonlyMap<string, KubeObject>;
  pods: ReadonlyMap<string, KubeObject>;
  claims: ReadonlyMap<string, KubeObject>;
  services: ReadonlyMap<string, KubeObject>;
  secrets: ReadonlyMap<string, KubeObject>;
  configMaps: ReadonlyMap<string, KubeObject>;
  budgets: ReadonlyMap<string, KubeObject>;
  /** Nodes by name; empty without the right to watch them. */
  nodes: ReadonlyMap<string, KubeObject>;
}

type Json = Record<string, unknown>;

/** A field deep inside, undefined when any part of the way is missing. */
export function at(object: unknown, ...path: (string | number)[]): unknown {
  let found: unknown = object;
  for (const part of path) {
    if (typeof found !== "object" || found === null) return undefined;
    found = (found as Json)[part as string];
  }
  return found;
}

/** True when the object has that condition with status True. */
export function hasCondition(object: KubeObject, type: string): boolean {
  const conditions = at(object, "status", "conditions");
  if (!Array.isArray(conditions)) return false;
  return conditions.some((each: Json) => each["type"] === type && each["status"] === "True");
}
