import { checkObject, printPath } from "../api/check.ts";
import type { FederationSpec } from "../api/federation.ts";
import { apiVersion, keyOf, type Resource } from "../api/kinds.ts";
import type { NamespaceView } from "../backends/kubernetes/view.ts";
import type { Declared } from "../planner/desired.ts";
import { deepFreeze } from "../runtime/frozen.ts";
import type { KubeObject } from "../runtime/objects.ts";
import type { Keepsake, RetiredZone } from "./keepsake.ts";

export interface Declarations {
  declared: Declared[];
  /** By "Kind/name". */
  resources: Map<string, Resource>;
  objects: Map<string, KubeObject>;
  /** Objects that this version does not understand, with the reason; they count as absent. */
  misread: Map<string, { reason: string; message: string }>;
  federation: FederationSpec | undefined;
  /** Trust domain. */
  name: string;
  /** Clusters that declare the same federation; remembered when its Federation is gone. */
  clusters: number;
  /** Zones that are retired or deleted now, to be remembered. */
  retired: Record<string, RetiredZone>;
}

/** Objects of a cache never change: what was read of one stays true as long as it is shown. */
const read = new WeakMap<KubeObject, ReturnType<typeof checkObject>>();

function readOf(object: KubeObject): ReturnType<typeof checkObject> {
  let found = read.get(object);
  if (found === undefined) {
    found = deepFreeze(checkObject(object));
    if (Object.isFrozen(object)) read.set(object, found);
  }
  return found;
}

/**
 * What a namespace declares. A zone that was deleted counts as declared until its data is gone; where several clusters
 * declare the same federation, a deletion only withdraws what this one says, and `state: Retired` ends the zone.
 */
export function declarationsOf(view: NamespaceView, keepsake: Keepsake, nowMs: number): Declarations {
  const found: Declarations = {
    declared: [],
    resources: new Map(),
    objects: new Map(),
    misread: new Map(),
    federation: undefined,
    name: view.namespace,
    clusters: keepsake.clusters,
    retired: {},
  };
  for (const object of view.own) {
    const key = keyOf(object);
    found.objects.set(key, object);
    const checked = readOf(object);
    if ("faults" in checked) {
      const message = checked.faults.map((fault) => `${printPath(fault.path)} ${fault.reason}`).join("; ");
      found.misread.set(key, { reason: "NotUnderstood", message: `This version does not understand it: ${message}.` });
      continue;
    }
    const { resource } = checked;
    const deleted = object.metadata.deletionTimestamp !== undefined;
    found.resources.set(key, resource);
    if (resource.kind === "Federation" && !deleted) {
      found.federation = resource.spec;
      found.name = resource.spec.trustDomain;
      found.clusters = resource.spec.clusters.length;
    }
    const endedAtMs = endOf(found, resource, { object, keepsake, nowMs });
    const createdAtMs = Date.parse(object.metadata.creationTimestamp ?? "") || 0;
    found.declared.push({ resource, createdAtMs, deleted, endedAtMs });
  }
  for (const [name, { endedAtMs, spec }] of Object.entries(keepsake.retired)) {
    if (found.objects.has(`ConsensusZone/${name}`)) continue;
    const checked = checkObject({ apiVersion, kind: "ConsensusZone", metadata: { name }, spec });
    if ("faults" in checked) continue;
    found.declared.push({ resource: checked.resource, deleted: true, endedAtMs });
    found.retired[name] = { endedAtMs, spec };
  }
  if (found.clusters > 1) withdraw(found);
  return found;
}

/** Takes out zones and mounts that were deleted here while they are in force: others may declare them still. */
function withdraw(found: Declarations): void {
  found.declared = found.declared.filter(({ resource, deleted }) => {
    if (!deleted || (resource.kind !== "ConsensusZone" && resource.kind !== "Mount")) return true;
    if (resource.spec.state === "Retired") return true;
    if (resource.kind === "ConsensusZone") delete found.retired[resource.metadata.name];
    return false;
  });
}

/** When the zone ended, remembered from the first sight on; 0 while in force. */
function endOf(
  found: Declarations,
  resource: Resource,
  { object, keepsake, nowMs }: { object: KubeObject; keepsake: Keepsake; nowMs: number },
): number {
  const { deletionTimestamp } = object.metadata;
  if (resource.kind !== "ConsensusZone") return deletionTimestamp === undefined ? 0 : Date.parse(deletionTimestamp);
  if (deletionTimestamp === undefined && resource.spec.state !== "Retired") return 0;
  const { name } = resource.metadata;
  const asked = deletionTimestamp === undefined ? nowMs : Date.parse(deletionTimestamp);
  const endedAtMs = keepsake.retired[name]?.endedAtMs ?? asked;
  found.retired[name] = { endedAtMs, spec: resource.spec as Record<string, unknown> };
  return endedAtMs;
}
