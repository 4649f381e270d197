// The pods of the boxes as the planner sees them.

import type { BoxSpec } from "../../api/box.ts";
import type { ObservedWorkload } from "../../planner/observed.ts";
import type { KubeObject } from "../../runtime/objects.ts";
import { boxPorts } from "../shared/container.ts";
import { clientServiceName, peerServiceName, podName, serviceHost, statefulSetName } from "./names.ts";
import { askedAnnotation } from "./pod.ts";
import { at, hasCondition, type NamespaceView } from "./view.ts";

/** Taints that say a node is about to go, beside `unschedulable`. */
const leavingTaints = new Set([
  "node.kubernetes.io/unschedulable",
  "ToBeDeletedByClusterAutoscaler",
  "karpenter.sh/disrupted",
  "karpenter.sh/disruption",
]);

export interface Address {
  peer: string;
  client: string;
}

/** Where the box's Services are, for everybody in the cluster. */
function addressesOf(box: string, namespace: string, role: string): Address {
  return {
    peer: `${serviceHost(peerServiceName(box), namespace)}:${boxPorts.peer}`,
    client: role === "Witness" ? "" : `${serviceHost(clientServiceName(box), namespace)}:${boxPorts.client}`,
  };
}

/** Where other boxes and clients reach it: as declared, else by its cluster's template, else its Services. */
export function endpointsOf(
  box: { name: string; namespace: string; spec: BoxSpec },
  templates: { peerAddressTemplate?: string | undefined; clientAddressTemplate?: string | undefined } | undefined,
): Address {
  const { name, namespace, spec } = box;
  const inside = addressesOf(name, namespace, spec.role);
  const filled = (template: string | undefined) => template?.replaceAll("{box}", name);
  return {
    peer: spec.endpoints?.peer ?? filled(templates?.peerAddressTemplate) ?? inside.peer,
    client:
      spec.role === "Witness"
        ? ""
        : (spec.endpoints?.client ?? filled(templates?.clientAddressTemplate) ?? inside.client),
  };
}

/** `asked` is the digest of what its pod is to be; undefined while that is not known. */
export function workloadOf(
  box: string,
  view: NamespaceView,
  wish: { asked: string | undefined; endpoints: Address; role: string; adminEndpoint?: string | undefined },
): ObservedWorkload {
  const { asked, endpoints, role } = wish;
  const set = view.statefulSets.get(statefulSetName(box));
  const exists = set !== undefined && set.metadata.deletionTimestamp === undefined;
  const pod = view.pods.get(podName(box));
  const ending = pod?.metadata.deletionTimestamp !== undefined;
  const running = pod !== undefined && !ending && hasCondition(pod, "Ready");
  const has = pod?.metadata.annotations?.[askedAnnotation];
  return {
    exists,
    running,
    peerEndpoint: endpoints.peer,
    clientEndpoint: endpoints.client,
    adminEndpoint: wish.adminEndpoint ?? addressesOf(box, view.namespace, role).peer,
    stopped: exists && at(set, "spec", "replicas") === 0,
    ...(pod === undefined || ending
      ? {}
      : {
          pod: {
            uid: pod.metadata.uid ?? "",
            outdated: asked !== undefined && has !== asked,
            leaving: isLeaving(view.nodes.get(String(at(pod, "spec", "nodeName") ?? ""))),
          },
        }),
  };
}

/** Somebody takes the node out of service. */
export function isLeaving(node: KubeObject | undefined): boolean {
  if (node === undefined) return false;
  if (at(node, "spec", "unschedulable") === true) return true;
  const taints = at(node, "spec", "taints");
  return Array.isArray(taints) && taints.some((taint: { key?: string }) => leavingTaints.has(taint.key ?? ""));
}

/** The node does not answer: the pod on it may run or not, and nothing may be put in its place. */
export function isNodeLost(node: KubeObject | undefined): boolean {
  if (node === undefined) return false;
  const taints = at(node, "spec", "taints");
  return (
    Array.isArray(taints) && taints.some((taint: { key?: string }) => taint.key === "node.kubernetes.io/unreachable")
  );
}
