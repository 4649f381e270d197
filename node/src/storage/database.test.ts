import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { equalBytes, utf8 } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { seededRandom } from "../base/seeded-random.ts";
import { stillClock } from "../base/testing/still-clock.ts";
import { BoxDatabase } from "./database.ts";
import { type DurableStore, MemoryDurableStore } from "./durable-store.ts";
import { joinFederation, openIdentity } from "./identity.ts";
import { formatKey, parsePointerKey, parseStateId, pointerKey, statePrefix } from "./keys.ts";
import { RocksStore } from "./rocks.ts";

const folder = mkdtempSync(join(tmpdir(), "nexus-database-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Timers fire when the test says so. */
function manualClock() {
  const due: (() => void)[] = [];
  const clock: Clock = {
    ...stillClock,
    defer: (fn) => due.push(fn),
    soon: (fn) => due.push(fn),
    after: (_ms, fn) => {
      due.push(fn);
      return { cancel: () => void due.splice(due.indexOf(fn) >>> 0, 1) };
    },
  };
  return { clock, fire: () => due.splice(0).forEach((fn) => void fn()) };
}
const never = (error: unknown) => {
  throw error;
};
const { clock } = manualClock();
const openOn = (store: DurableStore) => BoxDatabase.open({ store, clock, onFatal: never });
const put = (key: string, value: string) => ({ key, value: utf8(value) });
const at = (appliedIndex: number) => ({ appliedIndex, data: utf8(`config ${appliedIndex}`) });
const turns = () => new Promise((resolve) => setImmediate(resolve));

const stores: [string, () => Promise<DurableStore>][] = [
  ["MemoryDurableStore", async () => new MemoryDurableStore()],
  ["RocksStore", () => RocksStore.open(mkdtempSync(join(folder, "db-")), { memtableBytes: 8 << 20 })],
];

describe.each(stores)("BoxDatabase on %s", (_name, make) => {
  test("states of logs, generations and slots do not see each other", async () => {
    const database = await openOn(await make());
    const ids = [
      { log: 1, generation: 1, slot: 0 },
      { log: 1, generation: 2, slot: 0 },
      { log: 2 ** 33, generation: 1, slot: 0 },
    ];

    database.commit(
      ids.map((id, i) => ({ id, writes: [put("a", `${i}`), put("\u00ff", "end")], position: at(i + 1) })),
    );

    for (const [i, id] of ids.entries()) {
      const pairs = [...database.view(id).scan({ from: "" })].map((pair) => `${pair.key}=${Buffer.from(pair.value)}`);
      expect(pairs).toEqual([`a=${i}`, "\u00ff=end"]);
      expect(database.position(id)).toMatchObject({ appliedIndex: i + 1 });
    }
    expect(database.states()).toHaveLength(3);
    await database.close();
  });

  test("the synced applied index follows flushes, not commits", async () => {
    const database = await openOn(await make());
    const id = database.live(7, 1);
    database.commit([{ id, writes: [put("a", "1")], position: at(10) }]);
    expect(database.syncedAppliedIndex(id)).toBe(0);

    const flush = database.flush();
    database.commit([{ id, writes: [put("a", "2")], position: at(11) }]);
    await flush;

    expect(database.syncedAppliedIndex(id)).toBe(10);
    await database.close();
  });

  test("a filled state beside the live one takes its place whole, or not at all", async () => {
    const store = await make();
    const database = await openOn(store);
    const old = database.live(7, 1);
    database.commit([{ id: old, writes: [put("a", "old"), put("b", "old")], position: at(5) }]);
    const abandoned = database.beside(7, 1);
    database.view(abandoned).write([put("junk", "x")]);

    const next = database.beside(7, 1);
    database.commit([{ id: next, writes: [put("c", "new")], position: at(90) }]);
    expect(database.live(7, 1)).toEqual(old);
    await database.install(next);

    expect(database.live(7, 1)).toEqual(next);
    expect([...database.view(next).scan({ from: "" })].map((pair) => pair.key)).toEqual(["c"]);
    expect([...database.view(old).scan({ from: "" })]).toEqual([]);
    expect(database.syncedAppliedIndex(next)).toBe(90);
    database.drop(7, 1);
    expect(database.states()).toEqual([]);
    await database.close();
  });
});

test("a start drops states that were left beside the live one", async () => {
  const store = new MemoryDurableStore();
  const first = await openOn(store);
  first.commit([{ id: first.live(7, 1), writes: [put("a", "live")], position: at(1) }]);
  first.commit([{ id: first.beside(7, 1), writes: [put("a", "half")], position: at(9) }]);

  const second = await openOn(store);

  expect(second.states()).toEqual([{ log: 7, generation: 1, slot: 0 }]);
  expect([...store.scan({ from: statePrefix({ log: 7, generation: 1, slot: 1 }), to: "\x04" })]).toEqual([]);
  expect(second.syncedAppliedIndex(second.live(7, 1))).toBe(1);
});

test.each([
  ["1", "start the older version again"],
  ["3", "start the newer version again"],
])("format %s, which is not this box's, is refused with VERSION and says what to do", async (format, how) => {
  const store = new MemoryDurableStore();
  store.write([put(formatKey, format)]);

  await expect(openOn(store)).rejects.toMatchObject({ code: "VERSION", message: expect.stringContaining(how) });
});

test("that a log's state was deleted is durable soon after, though nothing else is written", async () => {
  const store = new MemoryDurableStore();
  const { clock: mine, fire } = manualClock();
  const database = await BoxDatabase.open({ store, clock: mine, onFatal: never });
  const id = database.live(7, 1);
  database.commit([{ id, writes: [put("a", "1")], position: at(3) }]);
  await database.flush();

  database.drop(7, 1);
  fire();
  await turns();

  const found = store.crash({ unit: () => 0, bytes: (count) => new Uint8Array(count) });
  expect([...found.scan({ from: statePrefix(id), to: "\x04" })]).toEqual([]);
  expect((await openOn(found)).states()).toEqual([]);
});

test("a background error ends the process: onFatal is called once and nothing counts as synced", async () => {
  const store = new MemoryDurableStore();
  const { clock: mine, fire } = manualClock();
  const fatal: unknown[] = [];
  const database = await BoxDatabase.open({ store, clock: mine, onFatal: (error) => fatal.push(error) });
  store.backgroundErrors = 1;

  database.commit([{ id: database.live(1, 1), writes: [], position: at(3) }]);
  fire();
  await turns();
  await expect(database.flush()).rejects.toMatchObject({ code: "INTERNAL" });

  expect(fatal).toHaveLength(1);
  expect(database.syncedAppliedIndex(database.live(1, 1))).toBe(0);
});

test("after a crash state and applied index agree, and neither is behind what was called synced", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0 }), async (seed) => {
      const random = seededRandom(seed);
      const flushes: (() => void)[] = [];
      let isManual = false;
      let store = new MemoryDurableStore((done) => (isManual ? flushes.push(done) : queueMicrotask(done)));
      for (let life = 0; life < 4; life++) {
        isManual = false;
        const database = await openOn(store);
        const id = database.live(1, 1);
        let applied = database.position(id)?.appliedIndex ?? 0;
        isManual = true;
        for (let step = 0; step < 20; step++) {
          applied++;
          database.commit([{ id, writes: [put("n", String(applied))], position: at(applied) }]);
          if (random.unit() < 0.3) void database.flush();
          if (random.unit() < 0.3) flushes.shift()?.();
          await turns();
        }
        const promised = database.syncedAppliedIndex(id);
        store = store.crash(random);
        flushes.length = 0;
        const found = store.get(`${statePrefix(id)}n`);
        isManual = false;
        const position = (await openOn(store)).position(id)?.appliedIndex ?? 0;
        expect(position).toBeGreaterThanOrEqual(promised);
        expect(Number(found === undefined ? 0 : Buffer.from(found).toString())).toBe(position);
      }
    }),
    { numRuns: 40 },
  );
});

test("damage in a state is CORRUPT and names the log", async () => {
  const store = await RocksStore.open(join(folder, "damage"), { valueCacheBytes: 0 });
  const database = await openOn(store);
  const id = database.live(42, 1);
  const { RocksLevel } = await import("@nxtedition/rocksdb");
  await database.close();
  const raw = new RocksLevel(join(folder, "damage"), { keyEncoding: "buffer", valueEncoding: "buffer" });
  await raw.open();
  const batch = raw._chainedBatch();
  batch._put(Buffer.from(`${statePrefix(id)}a`, "latin1"), Buffer.from("no checksum"));
  batch._writeSync();
  batch._closeSync();
  raw.detachResource(batch);
  await raw.close();

  const again = await openOn(await RocksStore.open(join(folder, "damage")));

  const error = expect.objectContaining({ code: "CORRUPT", message: expect.stringContaining("log 42") });
  expect(() => again.view(id).get("a")).toThrow(error);
  expect(() => [...again.view(id).scan({ from: "" })]).toThrow(error);
  const next = again.beside(42, 1);
  again.commit([{ id: next, writes: [put("a", "re-replicated")], position: at(5) }]);
  await again.install(next);
  expect(Buffer.from(again.view(again.live(42, 1)).get("a")!).toString()).toBe("re-replicated");
  await again.close();
});

test("a state that cannot be read is given up: the process ends, and the next start finds an empty one", async () => {
  const store = new MemoryDurableStore();
  const fatal: unknown[] = [];
  const first = await BoxDatabase.open({ store, clock, onFatal: (error) => fatal.push(error) });
  const id = first.live(42, 1);
  first.commit([{ id, writes: [put("a", "1"), put("b", "2")], position: at(7) }]);
  const read = store.get.bind(store);
  store.get = (key) => {
    if (key === `${statePrefix(id)}a`) throw new Error("Corruption: block checksum mismatch");
    return read(key);
  };
  expect(Buffer.from(first.view(id).get("b")!).toString()).toBe("2");

  expect(() => first.view(id).get("a")).toThrow(expect.objectContaining({ code: "CORRUPT" }));

  expect(fatal).toEqual([expect.objectContaining({ code: "CORRUPT", message: expect.stringContaining("log 42") })]);
  const second = await openOn(store);
  const next = second.live(42, 1);
  expect(next).toEqual({ ...id, slot: 2 });
  expect(second.position(next)).toBeUndefined();
  expect([...store.scan({ from: statePrefix(id), to: statePrefix(next) })]).toEqual([]);
});

test("an incarnation is drawn once a disk, and a disk stays in its federation", async () => {
  let store = new MemoryDurableStore();
  const first = await openIdentity(store, seededRandom(1));
  await joinFederation(store, "uid-1");
  store = store.crash(seededRandom(3));

  const second = await openIdentity(store, seededRandom(2));

  expect(equalBytes(first.incarnation, second.incarnation)).toBe(true);
  expect(second.federationUid).toBe("uid-1");
  await expect(joinFederation(store, "uid-2")).rejects.toMatchObject({ code: "INVALID" });
});

test("keys are parsed back and sort by log, generation and slot", () => {
  const numbers = fc.record({ log: fc.maxSafeNat(), generation: fc.nat(), slot: fc.nat() });
  fc.assert(
    fc.property(numbers, numbers, (a, b) => {
      expect(parseStateId(statePrefix(a))).toEqual(a);
      expect(parsePointerKey(pointerKey(a.log, a.generation))).toEqual({ log: a.log, generation: a.generation });
      const order = a.log - b.log || a.generation - b.generation || a.slot - b.slot;
      expect(statePrefix(a) < statePrefix(b)).toBe(order < 0);
    }),
  );
});
