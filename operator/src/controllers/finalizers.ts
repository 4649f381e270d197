// Who holds objects that are being deleted, and until when: a Box until nothing names it and its pod is gone, a zone
// until its rule is out of the map. Everything is let go when the namespace ends.
import { finalizer, podName, statefulSetName } from "../backends/kubernetes/names.ts";
import type { NamespaceView } from "../backends/kubernetes/view.ts";
import type { Desired } from "../planner/desired.ts";
import type { Observed } from "../planner/observed.ts";
import type { KubeClient } from "../runtime/api.ts";
import { addFinalizer, hasFinalizer, removeFinalizer } from "../runtime/finalizers.ts";
import { isKubeError } from "../runtime/kube-error.ts";
import type { KubeObject } from "../runtime/objects.ts";
import { ownTypes } from "../runtime/resource-types.ts";
import type { Declarations } from "./declared.ts";

type HeldKind = "Box" | "ConsensusZone";

export class Finalizers {
  readonly #client: KubeClient;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  async releaseAll(objects: readonly KubeObject[]): Promise<void> {
    for (const object of objects) await this.#set(object, false);
  }

  /** Takes hold of what is in force here and lets go what has ended. */
  async keep(world: {
    found: Declarations;
    desired: Desired;
    observed: Observed;
    view: NamespaceView;
    named: ReadonlySet<string>;
    /** The federation goes on knowing this deleted box. */
    stays: (box: string) => boolean;
  }): Promise<void> {
    const { found, desired, observed, view, named, stays } = world;
    const alive = [...desired.boxes.values()].some((box) => !box.deleted);
    const known = (box: string) => alive && observed.systemServes && observed.registered.has(box) && !stays(box);
    for (const box of desired.boxes.values()) {
      const object = found.objects.get(`Box/${box.name}`);
      if (object === undefined) continue;
      const gone = !view.statefulSets.has(statefulSetName(box.name)) && !view.pods.has(podName(box.name));
      if (!box.deleted) await this.#set(object, !box.foreign);
      else if (box.foreign || (gone && !named.has(box.name) && !known(box.name))) await this.#set(object, false);
    }
    for (const zone of desired.zones.values()) {
      const object = found.objects.get(`ConsensusZone/${zone.name}`);
      if (object === undefined) continue;
      if (object.metadata.deletionTimestamp === undefined) {
        await this.#set(object, true);
        continue;
      }
      const bound = observed.rules.some((rule) => rule.zone === zone.name && rule.state !== "detached");
      const never = !observed.bootstrapped && observed.knownFederation === "";
      if (never || !alive || (observed.systemServes && !bound && !observed.rulesPending))
        await this.#set(object, false);
    }
    for (const [key, { kind, metadata }] of found.resources) {
      const object = found.objects.get(key);
      const withdrawn = kind === "ConsensusZone" && !desired.zones.has(metadata.name);
      if (withdrawn && object?.metadata.deletionTimestamp !== undefined) await this.#set(object, false);
    }
  }

  async #set(object: KubeObject, on: boolean): Promise<void> {
    if (object.kind !== "Box" && object.kind !== "ConsensusZone") return;
    if (hasFinalizer(object, finalizer) === on) return;
    const of = { type: ownTypes[object.kind as HeldKind], object, finalizer };
    try {
      if (on) await addFinalizer(this.#client, of);
      else await removeFinalizer(this.#client, of);
    } catch (error) {
      // Changed since the cache saw it: the next round does it.
      if (!isKubeError(error, "CONFLICT", "NOT_FOUND")) throw error;
    }
  }
}
