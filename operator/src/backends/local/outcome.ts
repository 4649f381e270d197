import { keyOf, type Resource } from "../../api/kinds.ts";
import type { ApplyOutcome } from "./status.ts";

export function refusedOutcome(refused: ApplyOutcome["refused"]): ApplyOutcome {
  return { refused, taken: [], faults: [], notes: [] };
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
