import { apiGroup, type Kind, kindNames, kinds } from "../api/kinds.ts";

/** Where objects of one kind stand in the API. */
export interface ResourceType {
  /** Empty for the core group. */
  group: string;
  version: string;
  kind: string;
  plural: string;
  namespaced: boolean;
}

function type(path: string, kind: string, plural: string): ResourceType {
  const [group, version] = path.includes("/") ? (path.split("/") as [string, string]) : (["", path] as const);
  return { group, version, kind, plural, namespaced: true };
}
const clusterWide = (of: ResourceType): ResourceType => ({ ...of, namespaced: false });

/** The kinds of Kubernetes that the operator reads or writes. */
export const resourceTypes = {
  pod: type("v1", "Pod", "pods"),
  service: type("v1", "Service", "services"),
  secret: type("v1", "Secret", "secrets"),
  configMap: type("v1", "ConfigMap", "configmaps"),
  persistentVolumeClaim: type("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
  statefulSet: type("apps/v1", "StatefulSet", "statefulsets"),
  podDisruptionBudget: type("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
  serviceAccount: type("v1", "ServiceAccount", "serviceaccounts"),
  lease: type("coordination.k8s.io/v1", "Lease", "leases"),
  event: type("events.k8s.io/v1", "Event", "events"),
  namespace: clusterWide(type("v1", "Namespace", "namespaces")),
  node: clusterWide(type("v1", "Node", "nodes")),
  storageClass: clusterWide(type("storage.k8s.io/v1", "StorageClass", "storageclasses")),
  tokenReview: clusterWide(type("authentication.k8s.io/v1", "TokenReview", "tokenreviews")),
  customResourceDefinition: clusterWide(
    type("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions"),
  ),
  certificate: type("cert-manager.io/v1", "Certificate", "certificates"),
} as const satisfies Record<string, ResourceType>;

/** Our own kinds. */
export const ownTypes: Readonly<Record<Kind, ResourceType>> = Object.fromEntries(
  kindNames.map((kind) => [kind, type(`${apiGroup}/v1alpha1`, kind, kinds[kind].plural)]),
) as Record<Kind, ResourceType>;

/** `v1` or `group/version`, as it stands in an object's apiVersion. */
export function apiVersionOf({ group, version }: ResourceType): string {
  return group === "" ? version : `${group}/${version}`;
}

/** Path of the collection (without `name`), the object, or its subresource. */
export function pathOf(of: ResourceType, at: { namespace?: string; name?: string; subresource?: string } = {}): string {
  const parts = of.group === "" ? ["/api", of.version] : ["/apis", of.group, of.version];
  if (of.namespaced && at.namespace !== undefined) parts.push("namespaces", encodeURIComponent(at.namespace));
  parts.push(of.plural);
  if (at.name !== undefined) parts.push(encodeURIComponent(at.name));
  if (at.subresource !== undefined) parts.push(at.subresource);
  return parts.join("/");
}
