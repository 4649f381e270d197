import { replaceVolumeAnnotation } from "../api/annotations.ts";
import { volumeClaimName } from "../backends/kubernetes/names.ts";
import { refusedFields } from "../backends/kubernetes/pod-template.ts";
import type { NamespaceView } from "../backends/kubernetes/view.ts";
import type { Desired, DesiredBox } from "../planner/desired.ts";
import { federationKey } from "../planner/faults.ts";
import type { Obstacle } from "../planner/observed.ts";
import type { Declarations } from "./declared.ts";

export interface ObstacleWorld {
  found: Declarations;
  desired: Desired;
  view: Pick<NamespaceView, "claims">;
  /** Name of the federation that was started here; empty when none was. */
  knownFederation: string;
}

/** What only a person can remove from the way, by "Kind/name". */
export function obstaclesOf({ found, desired, view, knownFederation }: ObstacleWorld): Map<string, Obstacle> {
  const obstacles = new Map<string, Obstacle>(found.misread);
  for (const [key, resource] of found.resources) {
    if (resource.kind !== "Box") continue;
    const refused = refusedFields(resource.spec.podTemplate ?? {});
    if (refused.length === 0) continue;
    const message = `spec.podTemplate sets ${refused.join(", ")}, which the operator decides; take that out. Until then the pod is made without the template.`;
    obstacles.set(key, { reason: "PodTemplateRefused", message });
  }
  const boxes = [...desired.boxes.values()].filter((box) => box.role === "Data");
  const isGone = ({ name, foreign }: DesiredBox) => !foreign && !view.claims.has(volumeClaimName(name));
  if (knownFederation !== "" && boxes.length > 0 && boxes.every(isGone)) {
    const message = `Federation ${knownFederation} was started here, but the volume claim of every box is gone; bring a disk back, or consent to new ones (annotation ${replaceVolumeAnnotation}) and restore a backup under another federation. A new, empty federation is never made in its place.`;
    obstacles.set(federationKey, { reason: "DataLost", message });
  }
  return obstacles;
}
