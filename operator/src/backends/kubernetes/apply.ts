import { createHash } from "node:crypto";
import { apiGroup } from "../../api/kinds.ts";
import type { KubeClient } from "../../runtime/api.ts";
import type { KubeObject } from "../../runtime/objects.ts";
import type { ResourceType } from "../../runtime/resource-types.ts";
import { contains } from "./likeness.ts";

/** Digest of the manifest that was applied last: a field that it no longer has must go, which likeness alone cannot see. */
const manifestAnnotation = `${apiGroup}/manifest`;

export function stamped<T extends KubeObject>(manifest: T): T {
  const digest = createHash("sha256").update(JSON.stringify(manifest)).digest("hex").slice(0, 16);
  const { metadata } = manifest;
  return {
    ...manifest,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [manifestAnnotation]: digest } },
  };
}

/** What the server has afterwards, and whether something was written. `cached` may be old: an apply too many is harmless. */
export async function ensure(
  client: KubeClient,
  type: ResourceType,
  { manifest, cached }: { manifest: KubeObject; cached: KubeObject | undefined },
): Promise<{ object: KubeObject; written: boolean }> {
  const wanted = stamped(manifest);
  if (cached !== undefined && cached.metadata.deletionTimestamp === undefined && contains(cached, wanted))
    return { object: cached, written: false };
  return { object: await client.apply(type, wanted), written: true };
}
