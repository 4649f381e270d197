import { expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import { MemoryDisk } from "./disk-memory.ts";
import { groupKey } from "./group-index.ts";
import type { LogWrite } from "./records.ts";
import { SegmentLog } from "./segment-log.ts";

const small = { segmentBytes: 4096, frameBytesMax: 2048, salt: 9 };

function entries(first: number, count: number, sizeBytes: number) {
  return Array.from({ length: count }, (_, i) => ({
    index: first + i,
    term: 3,
    epoch: 1,
    type: "EntryNormal" as const,
    data: new Uint8Array(sizeBytes).fill(first + i),
  }));
}

/** What a busy leader gathers while its disk hangs: more than a segment holds, and what another group wants beside it. */
function muchAtOnce(): LogWrite[] {
  const hardState = { term: 3, vote: 1, commit: 18 };
  return [
    { group: 1, generation: 1, hardState, entries: entries(1, 20, 500) },
    { group: 2, generation: 1, hardState: { term: 3, vote: 2, commit: 0 }, entries: entries(1, 3, 40) },
    { group: 3, generation: 1, removeGroup: true },
  ];
}

test("one append larger than a segment is taken, and comes back whole", async () => {
  const disk = new MemoryDisk();
  const { log } = await SegmentLog.open(disk, small);

  await log.append(muchAtOnce());
  await log.append([{ group: 2, generation: 1, entries: entries(4, 1, 40) }]);

  const { groups } = await SegmentLog.open(disk, small);
  const first = groups.get(groupKey(1, 1));
  expect(first?.corrupt).toBeUndefined();
  expect(first?.entries).toEqual(entries(1, 20, 500));
  expect(first?.hardState).toEqual({ term: 3, vote: 1, commit: 18 });
  expect(groups.get(groupKey(2, 1))?.entries.map(({ index }) => index)).toEqual([1, 2, 3, 4]);
});

test("a power cut in the middle of it keeps a beginning that counts as nothing lost", async () => {
  const seen = new Set<number>();
  for (let seed = 1; seed <= 40; seed++) {
    const random = seededRandom(seed);
    let writesLeft = Number.POSITIVE_INFINITY;
    const disk = new MemoryDisk({
      schedule: (done, operation) => {
        if (operation.kind !== "write" || writesLeft-- > 0) queueMicrotask(done);
      },
    });
    const { log } = await SegmentLog.open(disk, small);
    await log.append([{ group: 1, generation: 1, hardState: { term: 2, vote: 0, commit: 0 } }]);
    writesLeft = Math.floor(random.unit() * 8);
    void log.append(muchAtOnce()).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 1));

    writesLeft = Number.POSITIVE_INFINITY;

    const { groups } = await SegmentLog.open(disk.crash(random), small);
    const first = groups.get(groupKey(1, 1));
    expect(first?.corrupt).toBeUndefined();
    expect(first?.entries).toEqual(entries(1, first?.entries.length ?? 0, 500));
    seen.add(first?.entries.length ?? 0);
  }
  expect(seen.size).toBeGreaterThan(2);
});
