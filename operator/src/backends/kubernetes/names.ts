// Names of what the operator makes in a federation's namespace. A box's objects are its name with a suffix, what belongs
// to the whole federation begins with "nexus-" and ends like no box's object, so that no name of a box can collide.
import { apiGroup } from "../../api/kinds.ts";
import type { ObjectName } from "../../runtime/objects.ts";

export const boxLabel = `${apiGroup}/box`;
export const federationLabel = `${apiGroup}/federation`;
/** Uid of the Box that an object was made for. */
export const boxUidAnnotation = `${apiGroup}/box-uid`;
/** Image that a box without `image` keeps for life. */
export const pinnedImageAnnotation = `${apiGroup}/pinned-image`;
/** Held by a Box until nothing names it; by a zone until its rule is out of the map. */
export const finalizer = `${apiGroup}/in-use`;

/** What every child carries; also how the operator's caches are bounded. */
export const managedSelector = "app.kubernetes.io/managed-by=nexus-operator";

export function labelsOf(federation: string, box?: { name: string; role: string }): Record<string, string> {
  const common = {
    "app.kubernetes.io/name": "nexus",
    "app.kubernetes.io/managed-by": "nexus-operator",
    [federationLabel]: federation,
  };
  if (box === undefined) return common;
  const component = box.role === "Witness" ? "witness" : "node";
  return { ...common, "app.kubernetes.io/component": component, [boxLabel]: box.name };
}

export const statefulSetName = (box: string): string => box;
export const podName = (box: string): string => `${box}-0`;
export const volumeClaimName = (box: string): string => `${box}-data`;
export const peerServiceName = (box: string): string => `${box}-peer`;
export const clientServiceName = (box: string): string => `${box}-client`;
export const configName = (box: string): string => `${box}-config`;
export const certificateName = (box: string): string => `${box}-tls`;
export const budgetName = (box: string): string => box;

/** The certificate authority: key and revocation list. */
export const authorityName = "nexus-authority";
/** The operator's own certificate where it is issued by somebody else. */
export const operatorCertificateName = "nexus-operator-tls";
/** Token of the federation's owner with what a client needs beside it. */
export const tokenName = "nexus-token";
/** Hashes of tokens, as boxes read them. */
export const accessName = "nexus-access";
/** Client Service of all boxes. */
export const federationServiceName = "nexus-federation";
/** What must outlive every box: uids of the federation and its zones. Never owned, never deleted by the operator. */
export const uidsName = "nexus-uids";
export const leaseName = "nexus-operator";

export function inNamespace(namespace: string, name: string): ObjectName {
  return { namespace, name };
}

/** Account of boxes that ask the API server about tokens. The chart lets it do that and nothing else. */
export const boxAccountName = "nexus-box";

/** As pods of any namespace resolve it. */
export function serviceHost(service: string, namespace: string): string {
  return `${service}.${namespace}.svc`;
}
