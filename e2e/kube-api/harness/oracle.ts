// What a run of the operator is judged by: the objects that are there at its end, and how often each was made and deleted.
import { managedSelector } from "@nexus-federation/operator/backends/kubernetes/names.ts";
import type { RawClient } from "@nexus-federation/operator/runtime/client.ts";
import { SharedInformer } from "@nexus-federation/operator/runtime/informer.ts";
import type { KubeObject } from "@nexus-federation/operator/runtime/objects.ts";
import { ownTypes, resourceTypes } from "@nexus-federation/operator/runtime/resource-types.ts";
import type { Side } from "./api.ts";

const childTypes = [
  resourceTypes.statefulSet,
  resourceTypes.persistentVolumeClaim,
  resourceTypes.service,
  resourceTypes.secret,
  resourceTypes.configMap,
  resourceTypes.podDisruptionBudget,
];

/** Counts what is made and deleted, by "Kind/name": one that is made twice was deleted in between. */
export class Made {
  readonly #counts = new Map<string, { made: number; deleted: number }>();
  readonly #informers: SharedInformer[];

  constructor(near: Side, namespace: string) {
    this.#informers = childTypes.map(
      (type) => new SharedInformer({ type, namespace, labelSelector: managedSelector }, near),
    );
    for (const informer of this.#informers)
      informer.onChange(({ kind, object }) => {
        if (kind === "updated") return;
        const key = `${object.kind}/${object.metadata.name}`;
        const before = this.#counts.get(key) ?? { made: 0, deleted: 0 };
        const [made, deleted] = kind === "added" ? [1, 0] : [0, 1];
        this.#counts.set(key, { made: before.made + made, deleted: before.deleted + deleted });
      });
  }

  /** `Kind/name MADE`, with what was deleted behind it. */
  lines(): string[] {
    const line = (key: string, { made, deleted }: { made: number; deleted: number }) =>
      deleted === 0 ? `${key} ${made}` : `${key} ${made} -${deleted}`;
    return [...this.#counts].map(([key, counts]) => line(key, counts)).sort();
  }

  /** From now on. */
  forget(): void {
    this.#counts.clear();
  }

  async start(): Promise<this> {
    for (const informer of this.#informers) informer.start();
    await Promise.all(this.#informers.map((informer) => informer.waitSynced()));
    return this;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#informers.map((informer) => informer.stop()));
  }
}

/** What people would call the same objects: without what differs from namespace to namespace and from life to life. */
export async function picture(client: RawClient, namespace: string): Promise<string[]> {
  const lines: string[] = [];
  for (const type of [...childTypes, ownTypes.Box, ownTypes.RaftGroup, ownTypes.ConsensusZone]) {
    const { items } = await client.list<KubeObject>(type, { namespace });
    for (const { metadata, spec, status, data } of items as (KubeObject & { data?: Record<string, string> })[]) {
      const { name, labels, finalizers } = metadata;
      // A list by type: its order tells which changed first, and nothing of what is so.
      const said = (status as { conditions?: { type: string; status: string; reason: string }[] })?.conditions
        ?.map((each) => `${each.type}=${each.status} ${each.reason}`)
        .sort();
      const facts = { labels, finalizers, spec, keys: Object.keys(data ?? {}).sort(), said };
      lines.push(
        `${type.kind}/${name} ${JSON.stringify(facts)}`
          .replaceAll(namespace, "NS")
          .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "UID"),
      );
    }
  }
  // The digest of what is asked of a pod holds its volume's uid.
  const digest = /("federation.nexus.io\/asked":")[0-9a-f]+/g;
  const plain = lines.map((line) => line.replace(digest, "$1"));
  return plain.map((line) => line.replace(/"clusterIPs?":(\[[^\]]*\]|"[^"]*"),?/g, "")).sort();
}
