// What must be remembered although no object and no box says it any more: that a federation was started here (so that a
// new, empty one is never made in its place), and zones that were deleted while their data is still kept. It lies in a
// ConfigMap without an owner, which the operator never deletes. What it holds is bounded by what there is: a zone is in
// it while it has a log or its retention runs, and is dropped with its data.
import { NexusError } from "@nexus-federation/node/base/errors.ts";
import { labelsOf, uidsName } from "../backends/kubernetes/names.ts";
import type { Observed } from "../planner/observed.ts";
import type { KubeClient } from "../runtime/api.ts";
import type { KubeObject } from "../runtime/objects.ts";
import { resourceTypes } from "../runtime/resource-types.ts";

/** A ConfigMap takes 1 MiB. */
const bytesMax = 960 * 1024;

export interface RetiredZone {
  /** Wall time of its end. */
  endedAtMs: number;
  /** As it was declared last. */
  spec: Record<string, unknown>;
}

export interface Keepsake {
  /** Trust domain of the federation that was started; empty when never. */
  federation: string;
  /** Clusters that declare the federation, as its Federation said last; 0 when it never did. */
  clusters: number;
  /** Uid of each zone's log, by zone. */
  uids: Readonly<Record<string, string>>;
  retired: Readonly<Record<string, RetiredZone>>;
}

export const nothingKept: Keepsake = { federation: "", clusters: 0, uids: {}, retired: {} };

export function keepsakeOf(configMap: KubeObject | undefined): Keepsake {
  const data = (configMap?.["data"] ?? {}) as Record<string, string>;
  return {
    federation: data["federation"] ?? "",
    clusters: parsed(data["clusters"], nothingKept.clusters),
    uids: parsed(data["zones"], nothingKept.uids),
    retired: parsed(data["retired"], nothingKept.retired),
  };
}

function parsed<T>(text: string | undefined, fallback: T): T {
  return text === undefined ? fallback : (JSON.parse(text) as T);
}

/** What of the world bears on what is kept. */
export interface Remembrance {
  observed: Pick<Observed, "logs" | "rules" | "systemServes" | "bootstrapped">;
  /** Zones that are declared, deleted or not. */
  declared: ReadonlySet<string>;
  /** Deleted and retired zones as they stand now. */
  retired: Readonly<Record<string, RetiredZone>>;
  clusters: number;
  /** Trust domain, should the federation have begun. */
  federation: string;
  nowMs: number;
}

/** Only while the system zone serves is it sure that a zone which is not seen is gone, with its data. */
export function remembered(before: Keepsake, now: Remembrance): Keepsake {
  const { observed, declared, nowMs, clusters } = now;
  const uids: Record<string, string> = { ...before.uids };
  for (const [zone, log] of observed.logs) if (log.uid) uids[zone] = log.uid;
  const retired = { ...now.retired };
  const federation = before.federation || (observed.bootstrapped ? now.federation : "");
  if (!observed.systemServes) return { federation, clusters, uids, retired };
  const isGone = (zone: string) =>
    !observed.logs.has(zone) && !observed.rules.some((rule) => rule.zone === zone) && !declared.has(zone);
  for (const [zone, { endedAtMs }] of Object.entries(retired)) {
    if (isGone(zone) && endedAtMs < nowMs) delete retired[zone];
  }
  for (const zone of Object.keys(uids)) if (isGone(zone) && retired[zone] === undefined) delete uids[zone];
  return { federation, clusters, uids, retired };
}

/** The last state that was written from here, which the cache may not show yet. */
export class KeepsakeStore {
  readonly #client: KubeClient;
  readonly #namespace: string;
  #last: { text: string; keepsake: Keepsake } | undefined;

  constructor(client: KubeClient, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  read(configMap: KubeObject | undefined): Keepsake {
    return this.#last?.keepsake ?? keepsakeOf(configMap);
  }

  /** Writes when something differs. */
  async write(next: Keepsake, { before, federation }: { before: Keepsake; federation: string }): Promise<void> {
    const text = JSON.stringify(next);
    if (text === (this.#last?.text ?? JSON.stringify(before))) return;
    if (Buffer.byteLength(text) > bytesMax) {
      const kept = Object.keys(next.retired).length;
      const advice = "end some with nexus zone destroy, or split the federation";
      throw new NexusError("TOO_LARGE", `ConfigMap ${uidsName} cannot remember ${kept} retired zones: ${advice}`);
    }
    await this.#client.apply(resourceTypes.configMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: uidsName, namespace: this.#namespace, labels: labelsOf(federation) },
      data: {
        ...(next.federation === "" ? {} : { federation: next.federation }),
        clusters: String(next.clusters),
        zones: JSON.stringify(next.uids),
        retired: JSON.stringify(next.retired),
      },
    });
    this.#last = { text, keepsake: next };
  }
}
