// What an `apply` answers beyond "taken": where each fault stands in the files that were given.
import { systemZone } from "@nexus-federation/node/tree/system-zone.ts";
import { printPath } from "../../api/check.ts";
import type { Condition } from "../../api/conditions.ts";
import { keyOf, type Resource } from "../../api/kinds.ts";
import type { Place } from "../../api/load.ts";
import type { Desired } from "../../planner/desired.ts";
import { referenceFaults } from "../../planner/faults.ts";
import type { Observed } from "../../planner/observed.ts";
import { type ApplyOutcome, faultsIn, type ObjectFault } from "./status.ts";

export function refusedOutcome(refused: ApplyOutcome["refused"]): ApplyOutcome {
  return { refused, taken: [], absent: [], faults: [], notes: [] };
}

/** Fields that only Kubernetes knows. */
export function noteOf(resource: Resource): string[] {
  if (resource.kind !== "Box") return [];
  const { spec } = resource;
  const passed = [
    spec.endpoints && "endpoints",
    spec.service && "service",
    spec.podTemplate && "podTemplate",
    spec.image && "image",
    spec.storage.storageClassName !== "" && "storage.storageClassName",
  ].filter((each) => typeof each === "string");
  return passed.length > 0
    ? [`${keyOf(resource)}: ${passed.join(", ")} ${passed.length === 1 ? "is" : "are"} passed over by local processes.`]
    : [];
}

/** What stands after the files were taken. */
export interface Taken {
  desired: Desired;
  observed: Observed;
  conditions: ReadonlyMap<string, readonly Condition[]>;
  /** Objects of the files, by "Kind/name". */
  places: ReadonlyMap<string, Place>;
  /** Faults before. */
  before: readonly ObjectFault[];
}

/** What is stalled, each fault by itself and with its place; those that were there before are marked. */
export function faultsAfter({ desired, observed, conditions, places, before }: Taken): ObjectFault[] {
  const known = referenceFaults(desired, observed.rules, observed.logs.get(systemZone));
  return faultsIn(conditions).flatMap((stalled) => {
    const { object } = stalled;
    const place = places.get(object);
    const same = (other: ObjectFault) => other.object === object && other.message === stalled.message;
    const old = place === undefined && before.some(same) ? { old: true } : {};
    const single = known.get(object)?.filter((fault) => stalled.message.includes(fault.message)) ?? [];
    if (single.length === 0) return [{ ...stalled, ...old }];
    return single.map(({ reason, message, path }) => ({ object, reason, message, ...placed(place, path), ...old }));
  });
}

function placed(place: Place | undefined, path: readonly (string | number)[] | undefined): Partial<ObjectFault> {
  if (place === undefined || path === undefined) return {};
  return { file: place.file, line: place.lineOf(path), field: printPath(path) };
}
