import type { Informer } from "../runtime/api.ts";
import { versionOf } from "../runtime/object-cache.ts";
import { compareVersions, type KubeObject, keyOfObject } from "../runtime/objects.ts";

/** What the server has now, in one consistent list. */
export interface LiveList {
  items: readonly KubeObject[];
  resourceVersion: string;
}

/**
 * Whether the cache shows less of the namespace than the list: an object of it in an earlier state or not at all, or one
 * that the server no longer has. What the cache knows beyond the list is no fault.
 */
export function isBehind(cache: Pick<Informer, "get" | "list">, live: LiveList, namespace: string): boolean {
  const there = new Set(live.items.map(keyOfObject));
  for (const item of live.items) {
    const cached = cache.get({ namespace, name: item.metadata.name });
    if (cached === undefined || compareVersions(versionOf(cached), versionOf(item)) < 0) return true;
  }
  const isLater = (object: KubeObject) => compareVersions(versionOf(object), live.resourceVersion) > 0;
  return cache.list(namespace).some((object) => !there.has(keyOfObject(object)) && !isLater(object));
}
