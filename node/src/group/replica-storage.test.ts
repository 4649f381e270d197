import { expect, test } from "vitest";
import type { Entry } from "../raft/types.ts";
import { ReplicaStorage } from "./replica-storage.ts";

const conf = { voters: [1], votersOutgoing: [], learners: [], learnersNext: [], witnesses: [], autoLeave: false };

function storage(): ReplicaStorage {
  return new ReplicaStorage(conf as never, () => "unavailable");
}

function entry(index: number, data: Uint8Array): Entry {
  return { index, term: 1, epoch: 0, type: "EntryNormal", data };
}

function kept(log: ReplicaStorage): readonly Entry[] {
  const entries = log.entries(log.firstIndex(), log.lastIndex() + 1, Number.MAX_SAFE_INTEGER);
  return entries === "compacted" ? [] : entries;
}

test("entries that came in a large frame keep their own bytes alive, not the frame", () => {
  const log = storage();
  const frame = Buffer.alloc(64 * 1024, 7);
  log.append([entry(1, frame.subarray(100, 110)), entry(2, frame.subarray(200, 205))]);
  log.append([entry(3, frame.subarray(0, 1))]);
  const bytes = new Set(kept(log).map(({ data }) => data.buffer.byteLength));
  expect([...bytes]).toEqual([15, 1]);
  expect(kept(log).map(({ index, data }) => [index, ...new Set(data), data.length])).toEqual([
    [1, 7, 10],
    [2, 7, 5],
    [3, 7, 1],
  ]);
  expect(log.dataBytes).toBe(16);
});

test("entries that fill their frame are not copied", () => {
  const log = storage();
  const frame = Buffer.alloc(1000);
  log.append([entry(1, frame.subarray(0, 500)), entry(2, frame.subarray(500))]);
  expect(kept(log).every(({ data }) => data.buffer === frame.buffer)).toBe(true);
});
