// Conditions that only Kubernetes can tell: nodes, pods, annotations, other clusters. Added to what the planner says.
import type { Condition } from "../api/conditions.ts";
import { podName } from "../backends/kubernetes/names.ts";
import { at, type NamespaceView } from "../backends/kubernetes/view.ts";
import { isNodeLost } from "../backends/kubernetes/workloads.ts";
import type { Desired, DesiredBox, DesiredGroup } from "../planner/desired.ts";
import { federationKey } from "../planner/faults.ts";
import type { Observed } from "../planner/observed.ts";
import { podTrouble } from "./pod-trouble.ts";

export interface ConditionWorld {
  desired: Desired;
  observed: Observed;
  view: NamespaceView;
  /** As the planner says them, by "Kind/name". */
  planned: ReadonlyMap<string, readonly Condition[]>;
}

/** All conditions of the object. */
export function conditionsFor(key: string, world: ConditionWorld): Condition[] {
  const said = [...(world.planned.get(key) ?? [])];
  const [kind, name = ""] = key.split("/");
  const box = kind === "Box" ? world.desired.boxes.get(name) : undefined;
  if (box?.foreign) return notManaged(box);
  if (box !== undefined) return overlaid(said, aboutBox(box, world));
  const group = kind === "RaftGroup" ? world.desired.groups.get(name) : undefined;
  return overlaid(overlaid(said, group ? [sharedDomains(group, world)] : []), dataLost(key, world));
}

function notManaged({ cluster }: DesiredBox): Condition[] {
  const message = `The operator of cluster ${cluster} runs it; it is only reflected here.`;
  return [
    { type: "Ready", status: "True", reason: "NotManagedHere", message },
    { type: "Reconciling", status: "False", reason: "NotManagedHere", message },
    { type: "Stalled", status: "False", reason: "NotManagedHere", message },
    { type: "Managed", status: "False", reason: "NotManagedHere", message },
  ];
}

/** Later ones replace earlier ones of the same type. */
function overlaid(conditions: readonly Condition[], over: readonly Condition[]): Condition[] {
  const types = new Set(over.map((each) => each.type));
  return [...conditions.filter((each) => !types.has(each.type)), ...over];
}

function aboutBox(box: DesiredBox, { observed, view, planned }: ConditionWorld): Condition[] {
  const conditions: Condition[] = [
    { type: "Managed", status: "True", reason: "ManagedHere", message: "This operator runs it." },
    caughtUp(box, observed),
    {
      type: "Fenced",
      status: box.stop === "fence" ? "True" : "False",
      reason: box.stop === "fence" ? "Fenced" : "NotFenced",
      message: box.stop === "fence" ? "It is stopped by annotation, whatever it leads." : "It is not fenced.",
    },
  ];
  const asked = box.stop === "fence" ? "Fenced" : "Hibernated";
  if (box.stop !== "" && observed.workloads.get(box.name)?.stopped) {
    const message = `It is stopped by annotation (${box.stop}); remove the annotation to start it again.`;
    conditions.push(
      { type: "Ready", status: "False", reason: asked, message },
      { type: "Reconciling", status: "False", reason: asked, message },
      { type: "Available", status: "False", reason: asked, message },
    );
    return conditions;
  }
  const node = String(at(view.pods.get(podName(box.name)), "spec", "nodeName") ?? "");
  if (isNodeLost(view.nodes.get(node))) {
    const message = `Node ${node} does not answer. The pod may still run there, so nothing is put in its place. Once the node is off for good: kubectl taint node ${node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`;
    conditions.push({ type: "Available", status: "False", reason: "NodeLost", message });
    return conditions;
  }
  const why = observed.workloads.get(box.name)?.running === false ? podTrouble(view, box.name) : undefined;
  const ready = planned.get(`Box/${box.name}`)?.find((each) => each.type === "Ready");
  if (why !== undefined && ready?.status === "False") conditions.push({ ...ready, message: `${ready.message} ${why}` });
  return conditions;
}

function caughtUp(box: DesiredBox, observed: Observed): Condition {
  const behind: string[] = [];
  let known = box.role === "Witness" || observed.boxes.has(box.name);
  for (const [zone, log] of observed.logs) {
    const member = log.members.get(box.name);
    if (member !== undefined) known = true;
    if (member === undefined || member.role === "witness" || log.leader === box.name) continue;
    if (log.leader === "" || !member.active || !member.caughtUp) behind.push(zone);
  }
  if (!known)
    return {
      type: "CaughtUp",
      status: "Unknown",
      reason: "NotSeen",
      message: "Neither it nor a leader says how far it is.",
    };
  return {
    type: "CaughtUp",
    status: behind.length === 0 ? "True" : "False",
    reason: behind.length === 0 ? "CaughtUp" : "Behind",
    message:
      behind.length === 0 ? "It has what was acknowledged." : `It is behind in ${behind.slice(0, 10).join(", ")}.`,
  };
}

/** Voters on one node fall together. */
function sharedDomains(group: DesiredGroup, { view }: ConditionWorld): Condition {
  const nodes = new Map<string, string>();
  let shared = "";
  for (const [box, role] of group.members) {
    if (role === "learner") continue;
    const node = String(at(view.pods.get(podName(box)), "spec", "nodeName") ?? "");
    if (node === "") continue;
    const other = nodes.get(node);
    if (other !== undefined) shared = `Boxes ${other} and ${box} share node ${node}: one failure takes both.`;
    nodes.set(node, box);
  }
  return {
    type: "FaultDomainsShared",
    status: shared === "" ? "False" : "True",
    reason: shared === "" ? "Apart" : "OneNode",
    message: shared === "" ? "Voters and witness are on different nodes." : shared,
  };
}

/** Without a Federation object its fault is said where people look: at the system group and the zones. */
function dataLost(key: string, { planned }: ConditionWorld): Condition[] {
  const lost = planned.get(federationKey)?.find((each) => each.type === "Stalled" && each.reason === "DataLost");
  if (lost?.status !== "True" || key === federationKey) return [];
  const { reason, message } = lost;
  return [
    { type: "Ready", status: "False", reason, message },
    { type: "Reconciling", status: "False", reason, message },
    { type: "Stalled", status: "True", reason, message },
    ...(key.startsWith("ConsensusZone/") ? [{ type: "DataLost", status: "True" as const, reason, message }] : []),
  ];
}
