import type { CallOptions, KubeClient } from "./api.ts";
import { isKubeError } from "./kube-error.ts";
import type { KubeObject } from "./objects.ts";
import type { ResourceType } from "./resource-types.ts";

export function hasFinalizer(object: KubeObject, finalizer: string): boolean {
  return object.metadata.finalizers?.includes(finalizer) ?? false;
}

/**
 * Puts the finalizer on, guarded by uid and revision: CONFLICT when the object has changed since it was read. An object
 * whose deletion has begun is left as it is: the server takes no new finalizers then. Returns the object as it is now.
 */
export function addFinalizer<T extends KubeObject>(
  client: KubeClient,
  of: { type: ResourceType; object: T; finalizer: string },
  options: CallOptions = {},
): Promise<T> {
  const { object, finalizer } = of;
  if (hasFinalizer(object, finalizer) || object.metadata.deletionTimestamp) return Promise.resolve(object);
  return setFinalizers(client, { ...of, finalizers: [...(object.metadata.finalizers ?? []), finalizer] }, options);
}

/** Takes the finalizer off, guarded likewise. An object that is gone already is as good. */
export async function removeFinalizer<T extends KubeObject>(
  client: KubeClient,
  of: { type: ResourceType; object: T; finalizer: string },
  options: CallOptions = {},
): Promise<void> {
  if (!hasFinalizer(of.object, of.finalizer)) return;
  const finalizers = (of.object.metadata.finalizers ?? []).filter((each) => each !== of.finalizer);
  try {
    await setFinalizers(client, { ...of, finalizers }, options);
  } catch (error) {
    if (!isKubeError(error, "NOT_FOUND")) throw error;
  }
}

function setFinalizers<T extends KubeObject>(
  client: KubeClient,
  of: { type: ResourceType; object: T; finalizers: string[] },
  options: CallOptions,
): Promise<T> {
  const { uid, resourceVersion, namespace, name } = of.object.metadata;
  const patch = { metadata: { uid, resourceVersion, finalizers: of.finalizers } };
  return client.patch<T>(of.type, { namespace, name }, patch, options);
}
