// The parts together, as a controller uses them: parents are ConfigMaps, each wants exactly one child. A child's name is
// drawn anew for every creation, so that a second creation on an old view would show.

import type { KubeClient, Outcome } from "@nexus-federation/operator/runtime/api.ts";
import { Applier } from "@nexus-federation/operator/runtime/applier.ts";
import { EventRecorder } from "@nexus-federation/operator/runtime/events.ts";
import { Expectations } from "@nexus-federation/operator/runtime/expectations.ts";
import { type InformerSettings, SharedInformer } from "@nexus-federation/operator/runtime/informer.ts";
import { type KubeObject, keyOfName, keyOfObject } from "@nexus-federation/operator/runtime/objects.ts";
import { resourceTypes } from "@nexus-federation/operator/runtime/resource-types.ts";
import { WorkQueue } from "@nexus-federation/operator/runtime/work-queue.ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configMap, controlPlane, eventually, kubectl, mapType, newNamespace, restart, side } from "./harness/api.ts";
import { FaultProxy } from "./harness/fault-proxy.ts";
import { controllerName, controllerReference, isControlledBy, nameOf } from "./harness/owners.ts";

const childType = resourceTypes.secret;
const quick: Partial<InformerSettings> = { backoff: { firstMs: 50, maxMs: 400 }, stallMs: 1_500 };

/** One run of the operator in small. */
class Controller {
  readonly near: ReturnType<typeof side>;
  readonly parents: SharedInformer;
  readonly children: SharedInformer;
  readonly ledger: Expectations;
  readonly queue: WorkQueue;
  readonly #client: KubeClient;
  readonly #abort = new AbortController();

  constructor(proxy: FaultProxy, namespace: string, more: { poison?: string } = {}) {
    this.near = side(proxy);
    this.#client = this.near.client.bound(this.#abort.signal);
    const of = { namespace, settings: quick };
    this.parents = new SharedInformer({ ...of, type: mapType, labelSelector: "role=parent" }, this.near);
    const byParent = (child: KubeObject) => {
      const parent = controllerName(child, "ConfigMap");
      return parent ? [keyOfName(parent)] : [];
    };
    this.children = new SharedInformer({ ...of, type: childType, indexes: { byParent } }, this.near);
    this.ledger = new Expectations(this.near);
    const reconcile = (key: string) => {
      if (more.poison !== undefined && key.endsWith(more.poison)) throw new Error("poison");
      return this.#reconcile(key);
    };
    const settings = { workers: 4, backoff: { firstMs: 5, maxMs: 500 } };
    this.queue = new WorkQueue({ name: "parents", reconcile, settings }, this.near);
    this.parents.onChange(({ object }) => this.queue.add(keyOfObject(object)));
    this.children.onChange(({ object }) => {
      for (const key of byParent(object)) this.queue.add(key);
    });
  }

  async start(): Promise<void> {
    this.parents.start();
    this.children.start();
    await Promise.all([this.parents.waitSynced(), this.children.waitSynced()]);
    this.queue.start();
  }
  async stop(): Promise<void> {
    this.#abort.abort(new Error("stopped"));
    await this.queue.stop();
    await Promise.all([this.parents.stop(), this.children.stop()]);
    this.near.connection.close();
  }

  async #reconcile(key: string): Promise<Outcome> {
    const held = this.ledger.check(key);
    if (held.kind === "pending") return { kind: "retry", afterMs: held.retryAfterMs, reason: held.what };
    const parent = this.parents.get(nameOf(key));
    if (!parent) {
      this.ledger.forget(key);
      return { kind: "done" };
    }
    const children = this.children.byIndex("byParent", key).filter((child) => isControlledBy(child, parent));
    if (children.length > 0) return { kind: "done" };
    // A creation whose answer was lost is in no ledger: only a live look finds it again.
    const { name, namespace, uid = "" } = parent.metadata;
    const suffix = Buffer.from(this.near.random.bytes(4)).toString("hex");
    const live = await this.#client.list(childType, { namespace, labelSelector: `parent=${uid}` });
    if (live.items.length > 0) {
      for (const child of live.items) this.ledger.written(key, this.children, child);
      return { kind: "retry", reason: "the cache is behind" };
    }
    const child = await this.#client.create<KubeObject>(childType, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: {
        namespace,
        name: `${name}-${suffix}`,
        labels: { parent: uid },
        ownerReferences: [controllerReference(parent)],
      },
    });
    this.ledger.written(key, this.children, child);
    return { kind: "done" };
  }
}

describe.skipIf(!controlPlane)("informer, queue and ledger as one controller", () => {
  let direct: ReturnType<typeof side>;
  let proxy: FaultProxy;

  beforeAll(async () => {
    direct = side();
    proxy = await FaultProxy.start();
  });
  afterAll(async () => {
    direct?.connection.close();
    await proxy?.stop();
  });

  const parent = (namespace: string, name: string) => {
    const object = configMap(namespace, name);
    return direct.client.create(mapType, { ...object, metadata: { ...object.metadata, labels: { role: "parent" } } });
  };
  const childrenOf = async (namespace: string) => (await direct.client.list(childType, { namespace })).items;
  async function settles(namespace: string, parents: KubeObject[]): Promise<void> {
    await eventually("every parent has a child", async () => {
      const owners = new Set((await childrenOf(namespace)).map((child) => child.metadata.labels?.["parent"]));
      return parents.every(({ metadata }) => owners.has(metadata.uid));
    });
  }
  const names = (count: number) => Array.from({ length: count }, (_, index) => `p${index}`);

  test("each parent gets one child, although watches stall, break, repeat and reorder and answers are lost", async () => {
    const namespace = await newNamespace(direct.client);
    const controller = new Controller(proxy, namespace);
    await controller.start();
    const parents: KubeObject[] = [];
    const modes = ["stall", "duplicate", "reorder", "pass"] as const;
    for (const [index, name] of names(40).entries()) {
      parents.push(await parent(namespace, name));
      if (index % 5 === 0) proxy.watchMode = modes[(index / 5) % modes.length]!;
      if (index % 7 === 0) proxy.plan({ kind: "lost-answer" }, { method: "POST", path: /secrets/ });
      if (index % 9 === 0) proxy.breakWatches("reset");
      if (index % 11 === 0) proxy.plan({ kind: "answer", status: 500, reason: "InternalError" }, { path: /secrets/ });
    }
    await restart("apiserver");
    proxy.heal();
    proxy.breakWatches("expire");
    await settles(namespace, parents);
    await controller.stop();

    expect((await childrenOf(namespace)).length).toBe(parents.length);
  });

  test("a parent deleted and made again under its name gets a child of its own", async () => {
    const namespace = await newNamespace(direct.client);
    const controller = new Controller(proxy, namespace);
    await controller.start();
    const old = await parent(namespace, "twice");
    await settles(namespace, [old]);
    proxy.goDown();
    await direct.client.delete(mapType, old.metadata, { uid: old.metadata.uid ?? "" });
    const young = await parent(namespace, "twice");
    proxy.heal();

    await settles(namespace, [young]);
    await controller.stop();
    expect((await childrenOf(namespace)).map((child) => child.metadata.labels?.["parent"]).sort()).toEqual(
      [old.metadata.uid, young.metadata.uid].sort(),
    );
  });

  test("a poison object costs the others nothing", async () => {
    const namespace = await newNamespace(direct.client);
    const controller = new Controller(proxy, namespace, { poison: "/p3" });
    await controller.start();
    const parents = await Promise.all(names(8).map((name) => parent(namespace, name)));

    await settles(
      namespace,
      parents.filter(({ metadata }) => metadata.name !== "p3"),
    );
    await controller.stop();
    expect((await childrenOf(namespace)).length).toBe(7);
    expect(controller.near.lines.some(({ key }) => key === `${namespace}/p3`)).toBe(true);
  });

  test("what one run left half done the next finishes, and an idle controller writes nothing", async () => {
    const namespace = await newNamespace(direct.client);
    const first = new Controller(proxy, namespace);
    await first.start();
    const parents = [await parent(namespace, "p0")];
    await first.stop();
    parents.push(await parent(namespace, "p1"));
    const second = new Controller(proxy, namespace);
    await second.start();
    await settles(namespace, parents);
    await eventually(
      "nothing is held",
      async () => (await second.near.metrics.queueDepth.get()).values[0]?.value === 0,
    );

    const writes = proxy.callsOf(/^(POST|PUT|PATCH|DELETE)/);
    for (const key of [`${namespace}/p0`, `${namespace}/p1`]) second.queue.add(key);
    await eventually("both are looked at", () => second.queue.depth === 0);
    await second.stop();
    expect(proxy.callsOf(/^(POST|PUT|PATCH|DELETE)/)).toBe(writes);
    expect((await childrenOf(namespace)).length).toBe(2);
  });

  test("events are seen by kubectl, counted when repeated, and never hold anything up", async () => {
    const namespace = await newNamespace(direct.client);
    const about = await parent(namespace, "told");
    let nowMs = 0;
    const clock = { ...direct.clock, now: () => nowMs };
    const recorder = new EventRecorder("test-0", { ...direct, clock });
    const note = {
      type: "Warning",
      reason: "QuorumLost",
      action: "Wait",
      message: "Two of three members are away.",
    } as const;
    recorder.record(about, note);
    recorder.record(about, note);
    await eventually(
      "it is written",
      async () => (await direct.client.list(resourceTypes.event, { namespace })).items.length,
    );
    nowMs += 31_000;
    recorder.record(about, note);
    await recorder.stop();

    const [event, ...more] = (await direct.client.list<KubeObject>(resourceTypes.event, { namespace })).items;
    expect(more).toEqual([]);
    expect(event).toMatchObject({ reason: "QuorumLost", action: "Wait", series: { count: 3 }, type: "Warning" });
    expect(await kubectl(["-n", namespace, "describe", "configmap", "told"])).toContain(
      "Two of three members are away.",
    );
  });

  test("a status that says the same is not written again", async () => {
    const namespace = await newNamespace(direct.client);
    const applier = new Applier(direct);
    const made = await direct.client.create(resourceTypes.persistentVolumeClaim, {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { namespace, name: "s" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    } as KubeObject);
    const { apiVersion, kind, metadata } = made;
    const status = (message: string) => ({
      apiVersion,
      kind,
      metadata: { namespace, name: metadata.name, uid: metadata.uid },
      status: { conditions: [{ type: "Resizing", status: "True", message }] },
    });
    const first = await applier.applyStatus<KubeObject>(resourceTypes.persistentVolumeClaim, status("a"), made);
    const again = await applier.applyStatus<KubeObject>(resourceTypes.persistentVolumeClaim, status("a"), first.object);
    const other = await applier.applyStatus<KubeObject>(resourceTypes.persistentVolumeClaim, status("b"), again.object);

    expect([first.changed, again.changed, other.changed]).toEqual([true, false, true]);
    expect(other.object.metadata.generation).toBe(metadata.generation);
  });
});
