import { VirtualClock } from "@nexus-federation/node/group/testing/virtual-clock.ts";
import { expect, test } from "vitest";
import { SharedInformer } from "./informer.ts";
import { KubeError } from "./kube-error.ts";
import type { KubeObject } from "./objects.ts";
import { resourceTypes } from "./resource-types.ts";
import { needs, object, pass, settled } from "./testing/needs.ts";
import type { WatchEvent } from "./watch-stream.ts";

/** The far side of one watch: the test decides what comes and when it ends. */
class Watch {
  readonly #events: WatchEvent[] = [];
  #ended: Error | "end" | undefined;
  #wake = () => {};
  readonly from: string;
  readonly signal: AbortSignal;

  constructor(from: string, signal: AbortSignal) {
    this.from = from;
    this.signal = signal;
    signal.addEventListener("abort", () => this.end(signal.reason as Error));
  }
  send(...events: WatchEvent[]): Promise<void> {
    this.#events.push(...events);
    this.#wake();
    return settled();
  }
  end(how: Error | "end" = "end"): Promise<void> {
    this.#ended = how;
    this.#wake();
    return settled();
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<WatchEvent> {
    for (;;) {
      const next = this.#events.shift();
      if (next) yield next;
      else if (this.#ended === "end") return;
      else if (this.#ended) throw this.#ended;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

function setUp(init: { list?: () => Promise<{ items: KubeObject[]; resourceVersion: string }> } = {}) {
  const clock = new VirtualClock();
  const all = needs(clock);
  const lists: number[] = [];
  const watches: Watch[] = [];
  const server = { items: [object("a", 5)], resourceVersion: "10" };
  const client = {
    list: () => {
      lists.push(clock.now());
      return init.list ? init.list() : Promise.resolve(structuredClone(server));
    },
    watch: (_type: unknown, { resourceVersion, signal }: { resourceVersion: string; signal: AbortSignal }) => {
      const watch = new Watch(resourceVersion, signal);
      watches.push(watch);
      return watch[Symbol.asyncIterator]();
    },
  };
  const informer = new SharedInformer(
    { type: resourceTypes.configMap },
    { ...all, client: client as unknown as ConstructorParameters<typeof SharedInformer>[1]["client"] },
  );
  const events: string[] = [];
  informer.onChange(({ kind, object: of }) => events.push(`${kind} ${of.metadata.name}`));
  informer.start();
  return { ...all, clock, informer, lists, watches, server, events };
}
const bookmark = (version: number): WatchEvent => ({ type: "BOOKMARK", object: object("", version) });
const network = () => new KubeError("NETWORK", "reset");

test("lists once, then watches from the list's revision, and goes on from the last event", async () => {
  const { informer, lists, watches, events } = setUp();
  await settled();
  await watches[0]!.send({ type: "MODIFIED", object: object("a", 12) }, bookmark(20));
  await watches[0]!.end();

  expect([lists.length, watches.map(({ from }) => from)]).toEqual([1, ["10", "20"]]);
  expect(events).toEqual(["added a", "updated a"]);
  expect([informer.synced, informer.resourceVersion]).toEqual([true, "20"]);
});

test("failures wait 0.8 s, 1.6 s, and so on to 30 s; the first event starts over", async () => {
  const { clock, watches } = setUp();
  await settled();
  const gaps: number[] = [];
  for (let i = 0; i < 4; i++) {
    const before = clock.now();
    const count = watches.length;
    await watches.at(-1)!.end(network());
    while (watches.length === count) await pass(clock, 100);
    gaps.push(clock.now() - before);
  }
  expect(gaps).toEqual([800, 1_600, 3_200, 6_400]);
  await watches.at(-1)!.send(bookmark(30));
  await watches.at(-1)!.end(network());
  const count = watches.length;
  await pass(clock, 800);
  expect(watches.length).toBe(count + 1);
});

test("a first list that fails is tried again until it passes, at most 30 s apart", async () => {
  let failures = 12;
  const { clock, lists, informer } = setUp({
    list: () => (failures-- > 0 ? Promise.reject(network()) : Promise.resolve({ items: [], resourceVersion: "1" })),
  });
  let synced = false;
  void informer.waitSynced().then(() => {
    synced = true;
  });
  for (let waited = 0; !synced && waited < 400; waited++) await pass(clock, 1_000);

  expect([synced, lists.length]).toEqual([true, 13]);
  expect(lists.at(-1)! - lists.at(-2)!).toBe(30_000);
});

test("90 s of silence end a watch; a bookmark is no silence", async () => {
  const { clock, watches, lines } = setUp();
  await settled();
  await pass(clock, 80_000);
  await watches[0]!.send(bookmark(11));
  await pass(clock, 80_000);
  expect(watches[0]!.signal.aborted).toBe(false);
  await pass(clock, 10_000);

  expect(watches[0]!.signal.aborted).toBe(true);
  expect(lines.map(({ fault }) => fault)).toEqual(["stall"]);
  await pass(clock, 800);
  expect(watches[1]!.from).toBe("11");
});

test("a watch on which nothing ever came is made good by a list, one that told something by another watch", async () => {
  const { clock, lists, watches } = setUp();
  await settled();
  await watches[0]!.send(bookmark(20));
  await pass(clock, 90_000 + 1_000);
  const afterTelling = lists.length;
  await pass(clock, 90_000 + 2_000);

  expect({ afterTelling, watchedFrom: watches[1]?.from }).toEqual({ afterTelling: 1, watchedFrom: "20" });
  expect(lists).toHaveLength(2);
});

test("an expired revision leads to a list at once, and repeatedly expired ones to lists with pauses", async () => {
  const { clock, lists, watches } = setUp();
  await settled();
  for (let i = 0; i < 3; i++) {
    await watches.at(-1)!.end(new KubeError("GONE", "too old"));
    await pass(clock, i === 0 ? 0 : 60_000);
  }

  expect([lists.length, lists[1]]).toEqual([4, 0]);
});

test("a revision that five watches failed to start from is given up for a list", async () => {
  const { clock, lists, watches, server } = setUp();
  await settled();
  server.resourceVersion = "3";
  server.items = [object("b", 2)];
  for (let i = 0; i < 5; i++) {
    await watches.at(-1)!.end(new KubeError("SERVER", "Too large resource version"));
    await pass(clock, 30_000);
  }

  expect([lists.length, watches.at(-1)!.from]).toEqual([2, "3"]);
});

test("every hour a list heals what no watch showed", async () => {
  const { clock, watches, lists, server, informer } = setUp();
  await settled();
  server.items = [object("missed", 11)];
  server.resourceVersion = "12";
  for (let i = 0; i < 61; i++) {
    await pass(clock, 60_000);
    await watches.at(-1)!.send(bookmark(12));
    if (i % 5 === 4) await watches.at(-1)!.end();
  }
  await watches.at(-1)!.end();

  expect(lists.length).toBe(2);
  expect(informer.list().map(({ metadata }) => metadata.name)).toEqual(["missed"]);
});

test("a revision that comes after a later one leads to a list, a repetition does not", async () => {
  const { clock, watches, lists, events } = setUp();
  await settled();
  const twelve: WatchEvent = { type: "ADDED", object: object("b", 12) };
  await watches[0]!.send(twelve, twelve);
  await watches[0]!.send({ type: "DELETED", object: object("never-seen", 11) });
  expect([lists.length, events]).toEqual([1, ["added a", "added b"]]);
  await watches[0]!.send({ type: "ADDED", object: object("c", 11) });
  await pass(clock, 800);

  expect(lists.length).toBe(2);
});

test("relist lists anew, also when asked for during a list", async () => {
  const answers: ((value: { items: KubeObject[]; resourceVersion: string }) => void)[] = [];
  const { informer, lists } = setUp({ list: () => new Promise((resolve) => answers.push(resolve)) });
  informer.relist();
  answers[0]!({ items: [], resourceVersion: "1" });
  await settled();

  expect(lists.length).toBe(2);
  answers[1]!({ items: [], resourceVersion: "2" });
  await settled();
  informer.relist();
  await settled();
  expect(lists.length).toBe(3);
});

test("who subscribes late is told what there is, and nobody is told anything after stop", async () => {
  const { informer, watches, events } = setUp();
  await settled();
  const late: string[] = [];
  informer.onChange(({ kind, object: of }) => late.push(`${kind} ${of.metadata.name}`));
  const [watch] = watches;
  await informer.stop();
  await watch!.send({ type: "ADDED", object: object("b", 30) });

  expect([events, late]).toEqual([["added a"], ["added a"]]);
});

test("waiting for the first list ends with its signal", async () => {
  const { informer } = setUp({ list: () => new Promise(() => {}) });
  const controller = new AbortController();
  const waiting = informer.waitSynced(controller.signal);
  controller.abort(new Error("enough"));

  await expect(waiting).rejects.toThrow("enough");
});
