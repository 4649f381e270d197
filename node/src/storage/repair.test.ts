import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import { stillClock as clock } from "../base/testing/still-clock.ts";
import { BoxDatabase } from "./database.ts";
import { openIdentity } from "./identity.ts";
import { openChecked, suspect } from "./repair.ts";
import { RocksStore } from "./rocks.ts";

const folder = mkdtempSync(join(tmpdir(), "nexus-repair-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const onFatal = () => {};
const never = () => {
  throw new Error("no log was to be given up");
};
const rows = 500;
const keyOf = (i: number) => `k${String(i).padStart(4, "0")}`;

/** A store with two logs of incompressible rows, in tables on disk. Answers a row in the middle of log 1. */
async function filled(at: string): Promise<Buffer> {
  const store = await RocksStore.open(at);
  const database = await BoxDatabase.open({ store, clock, onFatal });
  await openIdentity(store, seededRandom(7));
  let middle = Buffer.alloc(0);
  for (const log of [1, 2]) {
    const writes = Array.from({ length: rows }, (_, i) => ({ key: keyOf(i), value: randomBytes(200) }));
    database.commit([{ id: database.live(log, 1), writes, position: { appliedIndex: 9, data: new Uint8Array([1]) } }]);
    if (log === 1) middle = writes[rows / 2]!.value;
  }
  await database.close();
  // What a start finds in the write-ahead log goes into a table.
  await (await RocksStore.open(at)).close();
  return middle;
}

function damage(at: string, row: Buffer): void {
  for (const name of readdirSync(at).filter((one) => /\.(sst|log)$/.test(one))) {
    const bytes = readFileSync(join(at, name));
    const place = bytes.indexOf(row);
    if (place < 0) continue;
    bytes[place + 100]! ^= 1;
    writeFileSync(join(at, name), bytes);
  }
}

test("a damaged log is given up, the identity and the other log are whole, and the store takes writes again", async () => {
  const at = join(folder, "damaged");
  damage(at, await filled(at));
  suspect(at);
  const told: number[] = [];

  const store = await openChecked(at, (log) => told.push(log));

  expect(told).toEqual([1]);
  expect((await openIdentity(store, seededRandom(8))).incarnation).toEqual(seededRandom(7).bytes(16));
  const database = await BoxDatabase.open({ store, clock, onFatal });
  expect(database.live(1, 1)).toEqual({ log: 1, generation: 1, slot: 2 });
  expect(database.position(database.live(1, 1))).toBeUndefined();
  expect([...database.view(database.live(1, 1)).scan({ from: "" })]).toEqual([]);
  expect([...database.view(database.live(2, 1)).scan({ from: "" })]).toHaveLength(rows);
  expect(database.position(database.live(2, 1))).toMatchObject({ appliedIndex: 9 });
  database.commit([{ id: database.live(1, 1), writes: [{ key: keyOf(1), value: randomBytes(200) }] }]);
  await database.close();
  expect(readdirSync(folder).filter((name) => name.startsWith("damaged"))).toEqual(["damaged"]);
});

test("a store under suspicion that reads whole stays as it is, and one without suspicion is not read", async () => {
  const at = join(folder, "whole");
  await filled(at);
  suspect(at);
  await (await openChecked(at, never)).close();
  expect(existsSync(`${at}.suspect`)).toBe(false);
  await (await openChecked(at, never)).close();
});

test("a crash between the two renames of a repair loses nothing", async () => {
  const at = join(folder, "renamed");
  await filled(`${at}.fresh`);
  await filled(`${at}.former`);

  const store = await openChecked(at, never);

  const database = await BoxDatabase.open({ store, clock, onFatal });
  expect([...database.view(database.live(1, 1)).scan({ from: "" })]).toHaveLength(rows);
  await database.close();
  expect(existsSync(`${at}.former`)).toBe(false);
});
