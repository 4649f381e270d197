// The informer against a real API server, through a proxy of faults: after every fault the cache is what the server has,
// and the events that handlers saw, replayed, are the same.
import type { CacheEvent } from "@nexus-federation/operator/runtime/api.ts";
import { Expectations } from "@nexus-federation/operator/runtime/expectations.ts";
import { type InformerSettings, SharedInformer } from "@nexus-federation/operator/runtime/informer.ts";
import { type KubeObject, keyOfObject } from "@nexus-federation/operator/runtime/objects.ts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { configMap, controlPlane, eventually, mapType, newNamespace, restart, side } from "./harness/api.ts";
import { FaultProxy } from "./harness/fault-proxy.ts";

/** As in production, but for the patience with silence and between tries. */
const quick: Partial<InformerSettings> = { backoff: { firstMs: 50, maxMs: 400 }, stallMs: 1_500 };

describe.skipIf(!controlPlane)("the informer", () => {
  let proxy: FaultProxy;
  /** Writes past the proxy. */
  let direct: ReturnType<typeof side>;
  let near: ReturnType<typeof side>;
  let namespace = "";
  let informer: SharedInformer;
  let events: CacheEvent[] = [];

  beforeAll(async () => {
    proxy = await FaultProxy.start();
    direct = side();
  });
  beforeEach(async () => {
    near = side(proxy);
    namespace = await newNamespace(direct.client);
    events = [];
    await write("first", "1");
    informer = start();
    await informer.waitSynced();
    await eventually("the watch is open", () => proxy.watches > 0);
  });
  afterEach(async () => {
    proxy.heal();
    await informer.stop();
    near.connection.close();
    await eventually("the watch is closed", () => proxy.watches === 0);
  });
  afterAll(async () => {
    direct?.connection.close();
    await proxy?.stop();
  });

  function start(settings: Partial<InformerSettings> = quick): SharedInformer {
    const byValue = (object: KubeObject) => [(object["data"] as { v?: string } | undefined)?.v ?? ""];
    const made = new SharedInformer({ type: mapType, namespace, indexes: { byValue }, settings }, near);
    made.onChange((event) => events.push(event));
    made.start();
    return made;
  }
  const write = (name: string, v: string) => direct.client.apply(mapType, configMap(namespace, name, { v }));
  async function remove(name: string): Promise<void> {
    const live = await direct.client.get(mapType, { namespace, name });
    await direct.client.delete(mapType, { namespace, name }, { uid: live?.metadata.uid ?? "" });
  }

  const shape = (objects: Iterable<KubeObject>) =>
    [...objects].map(({ metadata }) => [keyOfObject({ metadata }), metadata.uid, metadata.resourceVersion]).sort();
  /** What the events say that there is. Throws when one does not fit what came before. */
  function replayed(): KubeObject[] {
    const state = new Map<string, KubeObject>();
    for (const event of events) {
      const key = keyOfObject(event.object);
      const before = state.get(key);
      if ((event.kind === "added") !== (before === undefined)) throw new Error(`${event.kind} ${key} does not fit`);
      if (before && before.metadata.uid !== event.object.metadata.uid) throw new Error(`${key} changed its uid unseen`);
      if (event.kind === "deleted") state.delete(key);
      else state.set(key, event.object);
    }
    return [...state.values()];
  }
  /** The cache becomes what the server has, and the events say so too. */
  async function converges(): Promise<void> {
    await eventually("the cache is what the server has", async () => {
      const live = await direct.client.list(mapType, { namespace });
      return JSON.stringify(shape(live.items)) === JSON.stringify(shape(informer.list()));
    });
    expect(shape(replayed())).toEqual(shape(informer.list()));
  }
  const faults = async (fault: string) => {
    const { values } = await near.metrics.cacheFaults.get();
    return values.filter(({ labels }) => labels["fault"] === fault).reduce((sum, { value }) => sum + value, 0);
  };

  test("follows creation, change and deletion, with indexes, and hands out what nobody can change", async () => {
    await write("a", "x");
    await write("b", "x");
    await write("b", "y");
    await remove("a");
    await converges();

    expect(informer.byIndex("byValue", "x")).toEqual([]);
    expect(informer.byIndex("byValue", "y").map((object) => object.metadata.name)).toEqual(["b"]);
    const found = informer.get({ namespace, name: "b" })!;
    expect(found).toMatchObject({ apiVersion: "v1", kind: "ConfigMap" });
    expect(() => Object.assign(found.metadata, { name: "z" })).toThrow(TypeError);
    expect(await faults("disorder")).toBe(0);
  });

  test("deletion and creation under one name while the watch is away are seen as both", async () => {
    proxy.goDown();
    await remove("first");
    await write("first", "2");
    proxy.heal();
    await converges();

    const kinds = events.filter(({ object }) => object.metadata.name === "first").map(({ kind }) => kind);
    expect(kinds).toEqual(["added", "deleted", "added"]);
  });

  test.each(["reset", "end", "garble"] as const)(
    "a watch that ends by %s goes on where it was, without a new list",
    async (how) => {
      const lists = proxy.callsOf(/configmaps\?(?!.*watch)/);
      proxy.breakWatches(how);
      await write("while-away", "1");
      await converges();

      expect(proxy.callsOf(/configmaps\?(?!.*watch)/)).toBe(lists);
    },
  );

  test("a stalled watch is noticed and replaced", async () => {
    proxy.watchMode = "stall";
    await write("unseen", "1");
    await eventually("the stall is noticed", () => faults("stall"));
    proxy.watchMode = "pass";
    await converges();
  });

  test("an expired watch, as an event or as an answer, leads to a new list", async () => {
    proxy.breakWatches("expire");
    await write("after-event", "1");
    await converges();
    proxy.plan({ kind: "answer", status: 410, reason: "Expired" }, { path: /watch=true/ });
    proxy.breakWatches("reset");
    await write("after-answer", "1");
    await converges();

    expect(await faults("expired")).toBe(2);
  });

  test("a history that is really compacted away leads to a new list", async () => {
    proxy.watchMode = "drop";
    for (let round = 0; round < 5; round++) await write("busy", String(round));
    // A restart empties the server's own window of changes: what is older it does not know any more.
    proxy.goDown();
    await restart("apiserver");
    proxy.heal();
    await converges();
  });

  test("duplicate events are taken once", async () => {
    proxy.watchMode = "duplicate";
    proxy.breakWatches("end");
    for (const name of ["d1", "d2", "d3"]) await write(name, "1");
    await remove("d2");
    await write("d1", "2");
    await converges();
    await write("last", "1");
    await converges();

    expect(events.filter(({ object }) => object.metadata.name === "d1").map(({ kind }) => kind)).toEqual([
      "added",
      "updated",
    ]);
  });

  test("events out of order never leave the cache behind", async () => {
    proxy.watchMode = "reorder";
    proxy.breakWatches("end");
    for (let round = 0; round < 3; round++) {
      await write("r1", String(round));
      await write("r2", String(round));
      await remove("r1");
    }
    await eventually("the disorder is noticed", () => faults("disorder"));
    proxy.watchMode = "pass";
    await write("last", "1");
    await converges();
  });

  test("500, 429 and 403 on list and watch are tried again until they end", async () => {
    for (const [status, reason] of [
      [500, "InternalError"],
      [429, "TooManyRequests"],
      [403, "Forbidden"],
    ] as const) {
      proxy.plan({ kind: "answer", status, reason }, { path: /configmaps/, times: 4 });
      proxy.breakWatches("reset");
      informer.relist();
      await write(`after-${status}`, "1");
      await converges();
    }
  });

  test.each(["apiserver", "etcd"] as const)("outlives a restart of %s", async (what) => {
    await restart(what);
    await eventually("a write passes", () => write("after", "1").catch(() => undefined));
    await converges();
  });

  test("a handler that throws costs the others nothing, and is called again", async () => {
    const seen: string[] = [];
    informer.onChange(({ object }) => {
      seen.push(object.metadata.name);
      throw new Error("poison");
    });
    await write("p1", "1");
    await write("p2", "1");
    await converges();

    expect(seen).toEqual(expect.arrayContaining(["first", "p1", "p2"]));
    expect(near.lines.filter(({ fault }) => fault === "handler").length).toBeGreaterThanOrEqual(3);
  });

  test("a list of several pages fills the cache", async () => {
    await Promise.all(Array.from({ length: 620 }, (_, index) => write(`many-${index}`, "1")));
    informer.relist();
    await eventually("a second page is asked for", () => proxy.callsOf(/continue=/) > 0);
    await converges();

    expect(informer.byIndex("byValue", "1").length).toBeGreaterThanOrEqual(620);
  });

  test("a key is held until the cache shows the write, and an overdue write leads to a new list", async () => {
    let nowMs = 0;
    const clock = { ...near.clock, now: () => nowMs };
    const ledger = new Expectations({ clock, metrics: near.metrics, log: near.log });
    proxy.watchMode = "drop";
    const written = await write("mine", "1");
    ledger.written("box/a", informer, written);

    expect(ledger.check("box/a").kind).toBe("pending");
    expect(ledger.check("box/b").kind).toBe("met");
    nowMs += 30_001;
    expect(ledger.check("box/a").kind).toBe("pending");
    await eventually("the list shows it", () => ledger.check("box/a").kind === "met");
    expect(informer.get({ namespace, name: "mine" })?.metadata.uid).toBe(written.metadata.uid);
    proxy.watchMode = "drop";
    await remove("mine");
    ledger.deleted("box/a", informer, written);
    expect(ledger.check("box/a").kind).toBe("pending");
    informer.relist();
    await eventually("the list shows it", () => ledger.check("box/a").kind === "met");
  });

  test("random writes under random faults end in the same state and a replay that fits", async () => {
    const faultsOf: (() => void)[] = [
      () => proxy.breakWatches("reset"),
      () => proxy.breakWatches("expire"),
      () => proxy.breakWatches("end"),
      () => proxy.breakWatches("garble"),
      () => (proxy.watchMode = "duplicate"),
      () => (proxy.watchMode = "reorder"),
      () => (proxy.watchMode = "pass"),
      () => proxy.plan({ kind: "answer", status: 500, reason: "InternalError" }, { path: /configmaps/ }),
      () => proxy.plan({ kind: "reset" }, { path: /configmaps/ }),
      () => proxy.plan({ kind: "lost-answer" }, { path: /configmaps\?(?!.*watch)/ }),
    ];
    const random = seeded(20_261_121);
    const alive = new Set(["first"]);
    for (let step = 0; step < 150; step++) {
      const name = `k${Math.floor(random() * 6)}`;
      if (random() < 0.25) faultsOf[Math.floor(random() * faultsOf.length)]!();
      if (alive.has(name) && random() < 0.4) {
        await remove(name);
        alive.delete(name);
      } else {
        await write(name, String(step));
        alive.add(name);
      }
    }
    proxy.heal();
    // What a reordering still holds back never comes: the next revision says that something is missing, or a list does.
    proxy.breakWatches("end");
    informer.relist();
    await converges();
  });
});

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
