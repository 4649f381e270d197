// Kubernetes objects as they are on the wire: JSON in, JSON out. A typed model would drop the fields that a newer server
// sends and this program does not know, and the next update would erase them.

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** Which fields a manager owns; `fieldsV1` is the server's own tree of `f:`, `k:` and `v:` keys. */
export interface ManagedFields {
  manager: string;
  operation: string;
  subresource?: string;
  fieldsV1?: Record<string, unknown>;
}

export interface ObjectMeta {
  name: string;
  namespace?: string;
  /** Drawn by the server; another uid under the same name is another object. */
  uid?: string;
  /** Revision of the last change. Decimal, and comparable within one kind of resource. */
  resourceVersion?: string;
  /** Counts changes of spec. */
  generation?: number;
  creationTimestamp?: string;
  /** Set when deletion was asked and finalizers hold the object. */
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  managedFields?: ManagedFields[];
}

export interface KubeObject<Spec = unknown, Status = unknown> {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec?: Spec;
  status?: Status;
  [field: string]: unknown;
}

/** Name of one object within its resource type. */
export interface ObjectName {
  /** Absent for cluster-scoped objects. */
  namespace?: string;
  name: string;
}

/** `namespace/name`, or `name` for a cluster-scoped object: the key of caches and queues. */
export function keyOfName({ namespace, name }: ObjectName): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** keyOfName of an object. */
export function keyOfObject(object: { metadata: { name: string; namespace?: string } }): string {
  return keyOfName(object.metadata);
}

/**
 * Negative, zero or positive as revision `a` is older than, the same as, or newer than `b`; both decimal texts.
 * Kubernetes promises this order within one resource type from 1.35 on, and every server on etcd has always kept it.
 */
export function compareVersions(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
