import { NexusError } from "@nexus-federation/node/base/errors.ts";
import { finalizer } from "../backends/kubernetes/names.ts";
import type { KubeClient } from "../runtime/api.ts";
import { hasFinalizer, removeFinalizer } from "../runtime/finalizers.ts";
import { isKubeError } from "../runtime/kube-error.ts";
import type { KubeObject } from "../runtime/objects.ts";
import { ownTypes } from "../runtime/resource-types.ts";

/** An object that changes under the look is looked at again, so many times. */
const looksMax = 10;

/**
 * Takes the operator's finalizer off everything in these namespaces (none: all), for when no operator will be there to do
 * it: a Box that is deleted then is only the end of its declaration, pods and volumes stay. An operator that comes later
 * takes hold again. Answers how many objects were let go.
 */
export async function letGo(client: KubeClient, namespaces: readonly string[]): Promise<number> {
  let count = 0;
  for (let looks = 0; looks < looksMax; looks++) {
    const held = await heldObjects(client, namespaces);
    if (held.length === 0) return count;
    for (const object of held) {
      const type = object.kind === "Box" ? ownTypes.Box : ownTypes.ConsensusZone;
      try {
        await removeFinalizer(client, { type, object, finalizer });
        count++;
      } catch (error) {
        if (!isKubeError(error, "CONFLICT")) throw error;
      }
    }
  }
  const text = `something puts the finalizer ${finalizer} on again: is an operator still running?`;
  throw new NexusError("PRECONDITION_FAILED", text);
}

async function heldObjects(client: KubeClient, namespaces: readonly string[]): Promise<KubeObject[]> {
  const held: KubeObject[] = [];
  for (const type of [ownTypes.Box, ownTypes.ConsensusZone])
    for (const namespace of namespaces.length === 0 ? [undefined] : namespaces) {
      try {
        const { items } = await client.list<KubeObject>(type, namespace === undefined ? {} : { namespace });
        held.push(...items.filter((object) => hasFinalizer(object, finalizer)));
      } catch (error) {
        // The definitions are gone, and with them every object.
        if (!isKubeError(error, "NOT_FOUND")) throw error;
      }
    }
  return held;
}
