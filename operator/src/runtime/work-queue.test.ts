import { VirtualClock } from "@nexus-federation/node/group/testing/virtual-clock.ts";
import { expect, test } from "vitest";
import type { Outcome } from "./api.ts";
import { needs, pass, settled } from "./testing/needs.ts";
import { type QueueSettings, WorkQueue } from "./work-queue.ts";

const done: Outcome = { kind: "done" };

/** A queue whose reconciles end when the test says so. */
function queueOf(settings: Partial<QueueSettings> = {}) {
  const clock = new VirtualClock();
  const all = needs(clock);
  const running: { key: string; atMs: number; signal: AbortSignal; end(outcome: Outcome | Error): void }[] = [];
  const queue = new WorkQueue(
    {
      name: "q",
      settings,
      reconcile: (key, signal) =>
        new Promise((resolve, reject) => {
          const end = (outcome: Outcome | Error) => (outcome instanceof Error ? reject(outcome) : resolve(outcome));
          running.push({ key, atMs: clock.now(), signal, end });
        }),
    },
    all,
  );
  queue.start();
  const keys = () => running.map(({ key }) => key);
  return { ...all, clock, queue, running, keys };
}

test("a key that waits is queued once", async () => {
  const { queue, running, keys } = queueOf({ workers: 1 });
  for (const key of ["a", "b", "b", "c", "b"]) queue.add(key);

  expect([keys(), queue.depth]).toEqual([["a"], 2]);
  running[0]!.end(done);
  await settled();
  running[1]!.end(done);
  await settled();
  expect(keys()).toEqual(["a", "b", "c"]);
});

test("a key is never worked on twice at once, and once more when it was added meanwhile", async () => {
  const { queue, running, keys } = queueOf({ workers: 4 });
  queue.add("a");
  queue.add("a");
  queue.add("a");

  expect(keys()).toEqual(["a"]);
  running[0]!.end(done);
  await settled();
  expect(keys()).toEqual(["a", "a"]);
  running[1]!.end(done);
  await settled();
  expect(keys()).toEqual(["a", "a"]);
});

test("no more than the workers run at once", () => {
  const { queue, keys } = queueOf({ workers: 2 });
  for (const key of ["a", "b", "c", "d"]) queue.add(key);

  expect([keys(), queue.depth]).toEqual([["a", "b"], 2]);
});

test("an error is tried again after 5 ms, 10 ms, and so on to 5 minutes; success starts over", async () => {
  const { queue, running, clock } = queueOf();
  queue.add("a");
  const gaps: number[] = [];
  for (let i = 0; i < 20; i++) {
    const last = running.at(-1)!;
    const sinceMs = clock.now();
    last.end(new Error("no"));
    await pass(clock, 300_000);
    gaps.push(running.at(-1)!.atMs - sinceMs);
  }

  expect(gaps.slice(0, 4)).toEqual([5, 10, 20, 40]);
  expect(gaps.slice(-2)).toEqual([300_000, 300_000]);
  running.at(-1)!.end(done);
  await settled();
  queue.add("a");
  running.at(-1)!.end(new Error("no"));
  const count = running.length;
  await pass(clock, 5);
  expect(running.length).toBe(count + 1);
});

test("a change cuts the backoff short", async () => {
  const { queue, running, keys } = queueOf();
  queue.add("a");
  running[0]!.end(new Error("no"));
  await settled();

  queue.add("a");
  expect(keys()).toEqual(["a", "a"]);
});

test("retry after a time, failed for good, and the earliest of several delays", async () => {
  const { queue, running, keys, clock } = queueOf();
  queue.add("a");
  running[0]!.end({ kind: "retry", afterMs: 1_000, reason: "waiting" });
  await pass(clock, 999);
  expect(keys()).toEqual(["a"]);
  await pass(clock, 1);
  expect(keys()).toEqual(["a", "a"]);
  running[1]!.end({ kind: "failed", reason: "nonsense" });
  await pass(clock, 3_600_000);
  expect(keys()).toEqual(["a", "a"]);

  queue.addAfter("b", 500);
  queue.addAfter("b", 100);
  queue.addAfter("b", 900);
  await pass(clock, 100);
  expect(keys()).toEqual(["a", "a", "b"]);
  running[2]!.end(done);
  await pass(clock, 10_000);
  expect(keys()).toEqual(["a", "a", "b"]);
});

test("one poison key holds nobody up", async () => {
  const { queue, running, clock } = queueOf({ workers: 1 });
  queue.add("poison");
  for (let round = 0; round < 50; round++) {
    queue.add(`good-${round}`);
    for (let i = 0; i < running.length; i++) running[i]!.end(running[i]!.key === "poison" ? new Error("poison") : done);
    await pass(clock, 10);
    for (const each of running) each.end(each.key === "poison" ? new Error("poison") : done);
    await settled();
  }

  const good = new Set(running.map(({ key }) => key).filter((key) => key !== "poison"));
  expect(good.size).toBe(50);
});

test("stop aborts what runs, drops what waits, and resolves when the last has ended", async () => {
  const { queue, running, keys, clock } = queueOf({ workers: 1 });
  queue.add("a");
  queue.add("b");
  queue.addAfter("c", 10);
  let stopped = false;
  const stopping = queue.stop().then(() => {
    stopped = true;
  });
  await settled();

  expect([running[0]!.signal.aborted, stopped]).toEqual([true, false]);
  running[0]!.end(new Error("aborted"));
  await stopping;
  queue.add("d");
  await pass(clock, 1_000_000);
  expect(keys()).toEqual(["a"]);
});

test("a reconcile that takes too long is told so", async () => {
  const { queue, running, clock, metrics } = queueOf({ reconcileMsMax: 1_000 });
  queue.add("a");
  await pass(clock, 999);
  expect(running[0]!.signal.aborted).toBe(false);
  await pass(clock, 1);

  expect(running[0]!.signal.aborted).toBe(true);
  await pass(clock, 1_000);
  queue.observe();
  expect((await metrics.queueLongest.get()).values).toMatchObject([{ value: 2, labels: { name: "q" } }]);
});

test("a full queue refuses new keys and says so", () => {
  const { queue, lines } = queueOf({ workers: 1, keysMax: 2 });
  for (const key of ["a", "b", "c", "d"]) queue.add(key);
  queue.addAfter("e", 1);

  expect(queue.depth).toBe(2);
  expect(lines.map(({ key }) => key)).toEqual(["d", "e"]);
});

test("the metrics count adds, retries and results", async () => {
  const { queue, running, metrics } = queueOf();
  queue.add("a");
  running[0]!.end(new Error("no"));
  await settled();
  queue.add("a");
  running[1]!.end(done);
  await settled();

  const value = async (of: { get(): Promise<{ values: { value: number }[] }> }) =>
    (await of.get()).values.map((each) => each.value);
  expect(await value(metrics.queueAdds)).toEqual([2]);
  expect(await value(metrics.queueRetries)).toEqual([1]);
  expect((await metrics.reconciles.get()).values.map(({ labels }) => labels["result"])).toEqual(["error", "done"]);
});
