// Owners of the sample controller's children; the operator's own objects have none (backends/kubernetes/children.ts).
import type { KubeObject, ObjectName, OwnerReference } from "@nexus-federation/operator/runtime/objects.ts";

/** What a child carries so that it is collected with its owner and found by it. Both are in one namespace. */
export function controllerReference(owner: KubeObject): OwnerReference {
  const { apiVersion, kind, metadata } = owner;
  if (!metadata.uid) throw new Error(`${kind} ${metadata.name} has no uid yet: only what the server has can own`);
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true, blockOwnerDeletion: true };
}

/** The owner that manages the object, if any. */
function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true);
}

/** Whether exactly this object (this uid) manages `child`: one of an earlier owner of the same name is not ours. */
export function isControlledBy(child: KubeObject, owner: KubeObject): boolean {
  return controllerOf(child)?.uid === owner.metadata.uid;
}

/** Name of the managing owner of that kind, for handlers that turn a change of a child into a look at its owner. */
export function controllerName(child: KubeObject, kind: string): ObjectName | undefined {
  const owner = controllerOf(child);
  return owner?.kind === kind ? { namespace: child.metadata.namespace, name: owner.name } : undefined;
}

/** The name in the key (keyOfName) of a namespaced object. */
export function nameOf(key: string): ObjectName {
  const [namespace, name = ""] = key.split("/");
  return { namespace, name };
}
