import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import { MemoryDisk } from "./disk-memory.ts";
import { NodeDisk } from "./disk-node.ts";
import { segmentName, writeSegmentHeader } from "./format.ts";
import { groupKey } from "./group-index.ts";
import type { LogWrite } from "./records.ts";
import { type LogSettings, SegmentLog } from "./segment-log.ts";

const folder = mkdtempSync(join(tmpdir(), "nexus-log-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const small: Partial<LogSettings> = { segmentBytes: 4096, frameBytesMax: 2048, salt: 9 };

function entries(first: number, count: number, fill = 1, sizeBytes = 50) {
  return Array.from({ length: count }, (_, i) => ({
    index: first + i,
    term: 1,
    epoch: 0,
    type: "EntryNormal" as const,
    data: new Uint8Array(sizeBytes).fill(fill),
  }));
}
function write(group: number, first: number, more: Partial<LogWrite> = {}): LogWrite {
  return { group, generation: 1, reset: first === 1, entries: entries(first, 1, group * 16 + first), ...more };
}
const turns = () => new Promise((resolve) => setTimeout(resolve, 1));

describe("damage", () => {
  async function threeWrites() {
    const disk = new MemoryDisk();
    const { log } = await SegmentLog.open(disk, small);
    await log.append([write(1, 1), write(2, 1)]);
    await log.append([write(1, 2), write(2, 2)]);
    await log.append([write(1, 3), write(2, 3)]);
    const file = Buffer.from(disk.files.get(segmentName(1))!.buffer);
    return { disk, file };
  }

  test("a flipped byte in acknowledged data marks its group, and only it, and the mark stays until a reset", async () => {
    const { disk, file } = await threeWrites();
    disk.flipBit(segmentName(1), file.indexOf(Buffer.alloc(50, 18)) + 7, 3);

    const first = await SegmentLog.open(disk, small);

    expect(first.corrupt).toBeUndefined();
    expect(first.groups.get(groupKey(1, 1))!.corrupt).toMatch(/fails its checksum/);
    expect(first.groups.get(groupKey(2, 1))!.corrupt).toBeUndefined();
    expect(first.groups.get(groupKey(2, 1))!.entries.map((entry) => entry.index)).toEqual([1, 2, 3]);
    await first.log.append([{ group: 1, generation: 1, hardState: { term: 2, vote: 0, commit: 0 } }]);

    const second = await SegmentLog.open(disk, small);

    expect(second.groups.get(groupKey(1, 1))!.corrupt).toMatch(/fails its checksum/);
    await second.log.append([{ group: 1, generation: 1, reset: true, snapshotMeta: meta(9) }]);

    const third = await SegmentLog.open(disk, small);

    expect(third.groups.get(groupKey(1, 1))).toMatchObject({ corrupt: undefined, entries: [], snapshotMeta: meta(9) });
  });

  test("damage that hides whose data it was marks every group that was not reset since", async () => {
    const { disk, file } = await threeWrites();
    const secondFrame = file.indexOf("NFRM", file.indexOf("NFRM") + 1);
    disk.flipBit(segmentName(1), secondFrame + 8, 1);

    const { groups, corrupt } = await SegmentLog.open(disk, small);

    expect(corrupt).toMatch(/segment 1 is damaged at byte/);
    expect([...groups.values()].every((group) => group.corrupt === corrupt)).toBe(true);
  });

  test("any flipped bit in acknowledged frames but the last is found, or harms nothing", async () => {
    const { file } = await threeWrites();
    const lastFrame = file.lastIndexOf("NFRM");
    const random = seededRandom(5);
    const pristine = Buffer.from(file);
    for (let i = 0; i < 800; i++) {
      const copy = new MemoryDisk({}, new Map([[segmentName(1), Uint8Array.from(pristine)]]));
      copy.flipBit(segmentName(1), 64 + Math.floor(random.unit() * (lastFrame - 64)), Math.floor(random.unit() * 8));

      const { groups } = await SegmentLog.open(copy, small);

      for (const group of groups.values()) {
        if (group.corrupt === undefined) expect(group.entries).toEqual(whole(group.group));
      }
      expect(groups.size).toBe(2);
    }
  });

  const whole = (group: number) => [1, 2, 3].map((i) => entries(i, 1, group * 16 + i)[0]);

  test("a sealed log finds damage in its last append too; an unsealed one cuts it as torn", async () => {
    const { disk, file } = await threeWrites();
    const lastData = file.indexOf(Buffer.alloc(50, 19)) + 7;
    const unsealed = new MemoryDisk({}, new Map([[segmentName(1), Uint8Array.from(file)]]));
    unsealed.flipBit(segmentName(1), lastData, 1);
    await (await SegmentLog.open(disk, small)).log.close();
    disk.flipBit(segmentName(1), lastData, 1);

    const sealed = (await SegmentLog.open(disk, small)).groups.get(groupKey(1, 1))!;
    const cut = (await SegmentLog.open(unsealed, small)).groups.get(groupKey(1, 1))!;

    expect(sealed.corrupt).toMatch(/fails its checksum/);
    expect(cut).toMatchObject({ corrupt: undefined });
    expect(cut.entries.map((entry) => entry.index)).toEqual([1, 2]);
    expect(Buffer.from(unsealed.files.get(segmentName(1))!).indexOf("NFRM", lastData - 100)).toBe(-1);
  });

  test("a frame that does not continue the one before it is not taken", async () => {
    const { disk, file } = await threeWrites();
    const lastFrame = file.lastIndexOf("NFRM");
    const other = new MemoryDisk();
    const { log } = await SegmentLog.open(other, small);
    await log.append([write(1, 1), write(2, 1)]);
    await log.append([write(1, 2, { entries: entries(2, 1, 99) }), write(2, 2)]);
    await log.append([write(1, 3, { entries: entries(3, 1, 99) }), write(2, 3)]);
    disk.files.get(segmentName(1))!.set(other.files.get(segmentName(1))!.subarray(lastFrame), lastFrame);

    const { groups } = await SegmentLog.open(disk, small);

    expect(groups.get(groupKey(1, 1))!.entries.map((entry) => entry.index)).toEqual([1, 2]);
  });

  test("a segment that is missing from the middle marks what was known", async () => {
    const disk = new MemoryDisk();
    const { log } = await SegmentLog.open(disk, small);
    for (let i = 1; i <= 30; i++) await log.append([write(1, i, { entries: entries(i, 1, 1, 500) })]);
    await log.close();
    await disk.remove(segmentName(2));

    const { groups, corrupt } = await SegmentLog.open(disk, small);

    expect(corrupt).toBe("segment 2 is missing");
    expect(groups.get(groupKey(1, 1))!.corrupt).toBeDefined();
  });

  test("a newer format is refused with VERSION and nothing is touched", async () => {
    const disk = new MemoryDisk();
    const file = Buffer.alloc(4096);
    writeSegmentHeader(file, { version: 2, segment: 1, salt: 0, previousCrc: 0, previousEnd: 0 });
    await (await disk.open(segmentName(1), { createBytes: 4096 })).write(0, file);

    await expect(SegmentLog.open(disk, small)).rejects.toMatchObject({ code: "VERSION" });

    expect(Buffer.from(disk.files.get(segmentName(1))!)).toEqual(file);
  });
});

function meta(index: number) {
  return { index, term: 1, epoch: 0, conf: Uint8Array.from([4]) };
}

describe("the write path", () => {
  test("appends made while a write is in flight share the next one", async () => {
    const writes: number[] = [];
    const held: (() => void)[] = [];
    const disk = new MemoryDisk({
      schedule: (done, operation) => {
        if (operation.kind === "write") {
          writes.push(operation.sizeBytes);
          held.push(done);
        } else queueMicrotask(done);
      },
    });
    const { log } = await SegmentLog.open(disk, { ...small, segmentBytes: 65536 });

    const all = Array.from({ length: 10 }, (_, i) => log.append([write(1, i + 1)]));
    await turns();
    held.shift()!();
    await turns();
    held.shift()!();
    await Promise.all(all);

    expect(writes.length).toBe(2);
    expect(log.bytesOf(1, 1)).toBe(700);
  });

  test("a stalled write holds appends back up to the backlog limit and then says OVERLOADED", async () => {
    const disk = new MemoryDisk();
    const { log } = await SegmentLog.open(disk, { ...small, backlogBytesMax: 1000 });
    await log.append([write(1, 1)]);
    disk.stall();

    const accepted = Array.from({ length: 7 }, (_, i) => log.append([write(1, i + 2)]));
    await expect(log.append([write(1, 9, { entries: entries(9, 5, 1, 100) })])).rejects.toMatchObject({
      code: "OVERLOADED",
    });

    disk.resume();
    await Promise.all(accepted);
    expect(log.backlogBytes).toBe(0);
    await expect(log.append([write(1, 9, { entries: entries(9, 1, 1, 5000) })])).rejects.toMatchObject({
      code: "TOO_LARGE",
    });
  });

  test("a full disk rejects with DISK_FULL and the log goes on when space is back", async () => {
    const disk = new MemoryDisk({ capacityBytes: 8192 });
    const { log } = await SegmentLog.open(disk, small);
    let next = 1;
    let code: string | undefined;
    for (; code === undefined; next++) {
      await log.append([write(1, next, { entries: entries(next, 1, 1, 500) })]).catch((error) => {
        code = error.code;
      });
    }
    expect(code).toBe("DISK_FULL");

    disk.capacityBytes = 100_000;
    for (next--; next < 40; next++) await log.append([write(1, next, { entries: entries(next, 1, 1, 500) })]);

    const { groups } = await SegmentLog.open(disk, small);
    expect(groups.get(groupKey(1, 1))!.entries.map((entry) => entry.index)).toEqual(entries(1, 39).map((e) => e.index));
  });

  test("after an I/O error the log takes nothing more", async () => {
    const disk = new MemoryDisk();
    const { log } = await SegmentLog.open(disk, small);
    await log.append([write(1, 1)]);
    disk.failWrites = true;

    await expect(log.append([write(1, 2)])).rejects.toMatchObject({ code: "INTERNAL" });
    disk.failWrites = false;

    await expect(log.append([write(1, 2)])).rejects.toMatchObject({ code: "INTERNAL" });
  });
});

describe("reclamation", () => {
  test("segments of compacted entries go, and an idle group does not hold them back", async () => {
    const disk = new MemoryDisk();
    let { log, groups } = await SegmentLog.open(disk, small);
    await log.append([write(7, 1, { hardState: { term: 3, vote: 2, commit: 1 } })]);
    for (let i = 1; i < 200; i++) {
      await log.append([
        write(1, i, { entries: entries(i, 1, 1, 500), snapshotMeta: i > 5 ? meta(i - 5) : undefined }),
      ]);
      await turns();
    }

    expect(disk.files.size).toBeLessThan(8);
    await log.close();
    ({ log, groups } = await SegmentLog.open(disk, small));
    expect(groups.get(groupKey(7, 1))).toMatchObject({
      corrupt: undefined,
      hardState: { term: 3, vote: 2, commit: 1 },
      entries: entries(1, 1, 7 * 16 + 1),
    });
    expect(groups.get(groupKey(1, 1))!.entries.map((entry) => entry.index)).toEqual([195, 196, 197, 198, 199]);
  });

  test("a damaged segment stays as long as a group is marked, and is relocated around the damage once it was reset", async () => {
    const disk = new MemoryDisk();
    const opened = await SegmentLog.open(disk, small);
    await opened.log.append([write(1, 1)]);
    await opened.log.append([write(7, 1, { hardState: { term: 3, vote: 2, commit: 1 } })]);
    await opened.log.close();
    disk.flipBit(segmentName(1), Buffer.from(disk.files.get(segmentName(1))!).indexOf(Buffer.alloc(50, 17)), 0);

    const fill = async (log: SegmentLog, from: number) => {
      for (let i = from; i < from + 100; i++) {
        const more = { entries: entries(i, 1, 1, 500), snapshotMeta: i > from ? meta(i - 1) : undefined };
        await log.append([write(2, i, more)]);
        await turns();
      }
    };
    const marked = await SegmentLog.open(disk, small);
    await fill(marked.log, 1);
    await marked.log.close();
    expect(disk.files.has(segmentName(1))).toBe(true);

    const again = await SegmentLog.open(disk, small);
    expect(again.groups.get(groupKey(1, 1))!.corrupt).toBeDefined();
    await again.log.append([{ group: 1, generation: 1, reset: true, snapshotMeta: meta(4) }]);
    await fill(again.log, 101);
    await again.log.close();

    const { groups } = await SegmentLog.open(disk, small);
    expect(disk.files.has(segmentName(1))).toBe(false);
    expect(disk.files.size).toBeLessThan(8);
    expect(groups.get(groupKey(7, 1))).toMatchObject({ corrupt: undefined, entries: entries(1, 1, 7 * 16 + 1) });
    expect(groups.get(groupKey(1, 1))).toMatchObject({ corrupt: undefined, snapshotMeta: meta(4) });
  });

  test("a removed group is gone after a start", async () => {
    const disk = new MemoryDisk();
    const { log } = await SegmentLog.open(disk, small);
    await log.append([write(1, 1), write(2, 1)]);
    await log.append([{ group: 1, generation: 1, removeGroup: true }]);
    await log.close();

    const { groups } = await SegmentLog.open(disk, small);

    expect([...groups.keys()]).toEqual([groupKey(2, 1)]);
  });
});

test("the log lives on a real disk, over several segments and starts", async () => {
  const place = join(folder, "log");
  for (let life = 0; life < 3; life++) {
    const { log, groups } = await SegmentLog.open(new NodeDisk(place), { ...small, segmentBytes: 65536 });
    expect(groups.get(groupKey(1, 1))?.entries.length ?? 0).toBe(life * 100);
    await Promise.all(
      Array.from({ length: 100 }, (_, i) => {
        const index = life * 100 + i + 1;
        return log.append([write(1, index, { entries: entries(index, 1, 1, 700) })]);
      }),
    );
    await log.close();
  }
});
