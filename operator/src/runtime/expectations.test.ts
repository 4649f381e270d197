import { VirtualClock } from "@nexus-federation/node/group/testing/virtual-clock.ts";
import { expect, test } from "vitest";
import type { Informer } from "./api.ts";
import { Expectations } from "./expectations.ts";
import type { KubeObject } from "./objects.ts";
import { resourceTypes } from "./resource-types.ts";
import { needs, object, pass } from "./testing/needs.ts";

/** What the ledger reads of an informer, moved by hand. */
function informerOf() {
  const state = { synced: true, resourceVersion: "10", objects: new Map<string, KubeObject>(), relists: 0 };
  const informer = {
    type: resourceTypes.configMap,
    get synced() {
      return state.synced;
    },
    get resourceVersion() {
      return state.resourceVersion;
    },
    get: ({ name }: { name: string }) => state.objects.get(name),
    relist: () => state.relists++,
  } as unknown as Informer;
  return { state, informer };
}

test("a write is pending until the cache has seen its revision, by event, bookmark or list", () => {
  const ledger = new Expectations(needs(new VirtualClock()));
  const { state, informer } = informerOf();
  ledger.written("k", informer, object("a", 12));

  expect(ledger.check("k")).toMatchObject({ kind: "pending", what: "ConfigMap ns/a written at revision 12" });
  state.resourceVersion = "11";
  expect(ledger.check("k").kind).toBe("pending");
  state.resourceVersion = "12";
  expect(ledger.check("k").kind).toBe("met");
  state.resourceVersion = "1";
  expect(ledger.check("k").kind).toBe("met");
});

test("revisions are compared as numbers", () => {
  const ledger = new Expectations(needs(new VirtualClock()));
  const { state, informer } = informerOf();
  ledger.written("k", informer, object("a", 1_000));
  state.resourceVersion = "999";

  expect(ledger.check("k").kind).toBe("pending");
});

test("a deletion is pending while the cache shows that uid untouched", () => {
  const ledger = new Expectations(needs(new VirtualClock()));
  const { state, informer } = informerOf();
  const gone = object("a", 12);
  state.objects.set("a", gone);
  ledger.deleted("k", informer, gone);
  expect(ledger.check("k").kind).toBe("pending");
  state.objects.set("a", { ...gone, metadata: { ...gone.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } });
  expect(ledger.check("k").kind).toBe("met");
  state.objects.set("a", gone);
  ledger.deleted("k", informer, gone);
  state.objects.set("a", object("a", 13, { uid: "another" }));
  expect(ledger.check("k").kind).toBe("met");
});

test("the last write of an object stands for its earlier ones, and every object for itself", () => {
  const ledger = new Expectations(needs(new VirtualClock()));
  const { state, informer } = informerOf();
  ledger.written("k", informer, object("a", 11));
  ledger.written("k", informer, object("a", 12));
  ledger.written("k", informer, object("b", 15));
  state.resourceVersion = "12";
  expect(ledger.check("k")).toMatchObject({ what: "ConfigMap ns/b written at revision 15" });
  ledger.forget("k");
  expect(ledger.check("k").kind).toBe("met");
});

test("an overdue write makes the informer list anew every 30 s, and is never given up", async () => {
  const clock = new VirtualClock();
  const ledger = new Expectations(needs(clock));
  const { state, informer } = informerOf();
  ledger.written("k", informer, object("a", 12));
  await pass(clock, 29_999);
  ledger.check("k");
  expect(state.relists).toBe(0);
  await pass(clock, 1);
  for (let i = 0; i < 3; i++) ledger.check("k");
  expect(state.relists).toBe(1);
  await pass(clock, 30_000);
  expect([ledger.check("k").kind, state.relists]).toEqual(["pending", 2]);
});
