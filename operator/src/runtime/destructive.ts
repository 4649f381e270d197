import type { CallOptions, DeleteOptions, KubeClient } from "./api.ts";
import { isKubeError } from "./kube-error.ts";
import type { KubeObject } from "./objects.ts";
import type { ResourceType } from "./resource-types.ts";

/** How a deletion ended: done (or under way); nothing there; or the object is another, or no longer such that it may go. */
export type Deletion = "deleted" | "gone" | "changed";

/**
 * Deletes what the cache showed as `seen`, after a live look: only the same uid, only while `still` holds for what the
 * server has now, and only that very revision. The cache may be minutes behind; what is deleted here never is.
 */
export async function deleteIf<T extends KubeObject>(
  client: KubeClient,
  of: { type: ResourceType; seen: T; still: (live: T) => boolean },
  options: CallOptions & Pick<DeleteOptions, "propagation" | "gracePeriodSeconds"> = {},
): Promise<Deletion> {
  const { type, seen } = of;
  const { namespace, name, uid } = seen.metadata;
  const { propagation: _p, gracePeriodSeconds: _g, ...call } = options;
  const live = await client.get<T>(type, { namespace, name }, call);
  if (live === undefined) return "gone";
  if (live.metadata.uid !== uid || !of.still(live)) return "changed";
  if (live.metadata.deletionTimestamp !== undefined) return "deleted";
  try {
    const guards = { uid: live.metadata.uid ?? "", resourceVersion: live.metadata.resourceVersion };
    return (await client.delete(type, { namespace, name }, { ...options, ...guards })) ? "deleted" : "gone";
  } catch (error) {
    if (isKubeError(error, "CONFLICT")) return "changed";
    throw error;
  }
}
