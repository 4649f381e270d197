// What the operator watches, and one namespace of it as a picture. Children are found by the label that the operator puts
// on them, so that the caches grow with the federations and not with the cluster.
import type { Clock, Random } from "@nexus-federation/node/base/clock.ts";
import { intents, isAsked } from "../api/annotations.ts";
import { kindNames } from "../api/kinds.ts";
import { boxLabel, managedSelector } from "../backends/kubernetes/names.ts";
import type { NamespaceView } from "../backends/kubernetes/view.ts";
import type { Informer, KubeClient, Log } from "../runtime/api.ts";
import type { RawClient } from "../runtime/client.ts";
import { type InformerSettings, SharedInformer } from "../runtime/informer.ts";
import type { RuntimeMetrics } from "../runtime/metrics.ts";
import type { KubeObject } from "../runtime/objects.ts";
import { ownTypes, type ResourceType, resourceTypes } from "../runtime/resource-types.ts";
import { isBehind } from "./current.ts";

export interface CacheNeeds {
  client: RawClient;
  clock: Clock;
  random: Random;
  metrics: RuntimeMetrics;
  log: Log;
  /** Default: informerDefaults. */
  informers?: Partial<InformerSettings>;
}

const childTypes = {
  statefulSets: [resourceTypes.statefulSet, managedSelector],
  pods: [resourceTypes.pod, boxLabel],
  claims: [resourceTypes.persistentVolumeClaim, boxLabel],
  services: [resourceTypes.service, managedSelector],
  secrets: [resourceTypes.secret, managedSelector],
  configMaps: [resourceTypes.configMap, managedSelector],
  budgets: [resourceTypes.podDisruptionBudget, managedSelector],
} as const satisfies Record<string, readonly [ResourceType, string]>;
type ChildName = keyof typeof childTypes;

/** The status of a Box with an intent names who set it. */
function showsWhoAsked({ kind, metadata }: KubeObject): boolean {
  return kind === "Box" && intents.some((name) => isAsked(metadata.annotations, name));
}

/** Caches of one namespace, or of all. */
export class Caches {
  readonly #own: Informer[];
  readonly #children: Record<ChildName, Informer>;
  /** Of the whole cluster; like `#namespaces` it never fills where the operator may not read them. */
  readonly #nodes: Informer;
  /** The one whose caches these are, or all. */
  readonly #namespaces: Informer;
  /** Namespaces whose caches were seen to be behind and not yet to have caught up. */
  readonly #distrusted = new Set<string>();

  /** `namespace` undefined: all. */
  constructor(needs: CacheNeeds, namespace: string | undefined) {
    const of = (type: ResourceType, selectors: { labelSelector?: string; fieldSelector?: string } = {}): Informer =>
      new SharedInformer(
        {
          type,
          ...(namespace === undefined || !type.namespaced ? {} : { namespace }),
          ...selectors,
          keepsManagedFields: showsWhoAsked,
          ...(needs.informers === undefined ? {} : { settings: needs.informers }),
        },
        needs,
      );
    this.#own = kindNames.map((kind) => of(ownTypes[kind]));
    this.#children = Object.fromEntries(
      Object.entries(childTypes).map(([name, [type, labelSelector]]) => [name, of(type, { labelSelector })]),
    ) as Record<ChildName, Informer>;
    this.#nodes = of(resourceTypes.node);
    const only = namespace === undefined ? {} : { fieldSelector: `metadata.name=${namespace}` };
    this.#namespaces = of(resourceTypes.namespace, only);
  }

  get #namespaced(): Informer[] {
    return [...this.#own, ...Object.values(this.#children)];
  }

  /** The cache of a type that is written here; undefined where there is none. */
  informerOf(type: ResourceType): Informer | undefined {
    return this.#namespaced.find((informer) => informer.type === type);
  }

  /** `changed` is told the namespace of each change; "" when it may concern every one. */
  start(changed: (namespace: string) => void): void {
    for (const informer of this.#namespaced) {
      informer.onChange(({ object }) => changed(object.metadata.namespace ?? ""));
      informer.start();
    }
    this.#nodes.onChange((event) => {
      // A node writes its heartbeat into its status all the time.
      if (event.kind === "updated" && JSON.stringify(event.before.spec) === JSON.stringify(event.object.spec)) return;
      changed("");
    });
    this.#nodes.start();
    this.#namespaces.onChange(({ object }) => {
      if (object.metadata.deletionTimestamp !== undefined) changed(object.metadata.name);
    });
    this.#namespaces.start();
  }

  async waitSynced(signal?: AbortSignal): Promise<void> {
    await Promise.all(this.#namespaced.map((informer) => informer.waitSynced(signal)));
  }

  get synced(): boolean {
    return this.#namespaced.every((informer) => informer.synced);
  }

  /**
   * Whether what the caches show of the namespace is what the server has now. The namespace's own resources are looked at
   * live; once one of them is behind, everything else of it is too. What is behind lists anew.
   */
  async areCurrent(namespace: string, client: KubeClient): Promise<boolean> {
    const own = await this.#behind(
      this.#own.map((informer) => [informer, undefined] as const),
      namespace,
      client,
    );
    if (own.length === 0 && !this.#distrusted.has(namespace)) return true;
    this.#distrusted.add(namespace);
    const children = Object.entries(childTypes).map(
      ([name, [, selector]]) => [this.#children[name as ChildName], selector] as const,
    );
    const behind = [...own, ...(await this.#behind(children, namespace, client))];
    for (const informer of behind) informer.relist();
    if (behind.length === 0) this.#distrusted.delete(namespace);
    return behind.length === 0;
  }

  async #behind(
    informers: readonly (readonly [Informer, string | undefined])[],
    namespace: string,
    client: KubeClient,
  ): Promise<Informer[]> {
    const looks = informers.map(async ([informer, selector]) => {
      const selection = selector === undefined ? { namespace } : { namespace, labelSelector: selector };
      const live = await client.list<KubeObject>(informer.type, selection);
      return isBehind(informer, live, namespace) ? [informer] : [];
    });
    return (await Promise.all(looks)).flat();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#namespaced, this.#nodes, this.#namespaces].map((informer) => informer.stop()));
  }

  /** Namespaces that hold any of our resources. */
  federations(): Set<string> {
    const found = new Set<string>();
    for (const informer of this.#own)
      for (const { metadata } of informer.list()) if (metadata.namespace !== undefined) found.add(metadata.namespace);
    return found;
  }

  /** As far as the operator may know. */
  isEnding(namespace: string): boolean {
    return this.#namespaces.get({ name: namespace })?.metadata.deletionTimestamp !== undefined;
  }

  /** As far as the operator may know. */
  uidOf(namespace: string): string | undefined {
    return this.#namespaces.get({ name: namespace })?.metadata.uid;
  }

  view(namespace: string): NamespaceView {
    const byName = (informer: Informer): Map<string, KubeObject> =>
      new Map(informer.list(namespace).map((object) => [object.metadata.name, object]));
    const child = (name: ChildName) => byName(this.#children[name]);
    return {
      namespace,
      terminating: this.isEnding(namespace),
      own: this.#own.flatMap((informer) => informer.list(namespace)),
      statefulSets: child("statefulSets"),
      pods: child("pods"),
      claims: child("claims"),
      services: child("services"),
      secrets: child("secrets"),
      configMaps: child("configMaps"),
      budgets: child("budgets"),
      nodes: new Map(this.#nodes.list().map((node) => [node.metadata.name, node])),
    };
  }
}
