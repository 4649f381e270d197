import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import type { Disk } from "../log/disk.ts";
import { MemoryDisk } from "../log/disk-memory.ts";
import { NodeDisk } from "../log/disk-node.ts";
import { entryBytes, type GroupRecord, headerBytes } from "./format.ts";
import { RecordStore } from "./records.ts";

const settings = { recordsMax: 16 };
const key = (n: number) => String.fromCharCode(n).repeat(16);

function groupOf(n: number, term: number): GroupRecord {
  const record = { incarnation: key(n), term, votedFor: key(200), engTerm: term, engEpoch: 2, engHolder: key(255) };
  return { log: 2 ** 40 + n, generation: 3, record };
}

function all(store: RecordStore): string {
  return JSON.stringify(Array.from({ length: 32 }, (_, n) => store.get(key(n))));
}

function withDisk(name: string, use: (disk: () => Disk) => Promise<void>): void {
  test(`${name}, in memory`, () => {
    const disk = new MemoryDisk();
    return use(() => disk);
  });
  test(`${name}, on a file system`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "nexus-witness-"));
    try {
      await use(() => new NodeDisk(folder));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

describe("witness records", () => {
  withDisk("what was flushed is there after a restart", async (disk) => {
    const store = await RecordStore.open(disk(), settings);
    store.put(groupOf(1, 7));
    store.put({
      ...groupOf(2, 2 ** 45),
      record: { ...groupOf(2, 2 ** 45).record, votedFor: undefined, engHolder: undefined },
    });
    await store.flush();
    store.remove(key(1));
    store.put(groupOf(3, 1));
    await store.flush();

    const again = await RecordStore.open(disk(), settings);

    expect(all(again)).toBe(all(store));
    expect(again.size).toBe(2);
    expect(again.recordsOf(2 ** 40 + 1, 3)).toBe(0);
  });

  withDisk("many times the file's room of changes survive by compaction", async (disk) => {
    const store = await RecordStore.open(disk(), settings);
    for (let round = 1; round <= 400; round++) {
      for (let n = 0; n < settings.recordsMax; n++) store.put(groupOf(n, round));
      await store.flush();
    }

    const again = await RecordStore.open(disk(), settings);

    expect(all(again)).toBe(all(store));
  });

  test("a record takes less than 100 bytes", () => {
    expect(entryBytes).toBeLessThan(100);
  });

  test("a crash at any moment leaves everything flushed, and of the last flush all or nothing", async () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seededRandom(seed);
      let disk = new MemoryDisk();
      let expected = "";
      for (let life = 0; life < 4; life++) {
        const store = await RecordStore.open(disk, settings);
        if (expected !== "") expect(expected.split("|"), `seed ${seed}`).toContain(all(store));
        let before = all(store);
        for (let round = Math.floor(random.unit() * 120); round > 0; round--) {
          for (let n = 0; n < 16; n++) if (random.unit() < 0.7) store.put(groupOf(n, life * 1000 + round));
          await store.flush();
          before = all(store);
        }
        store.put(groupOf(Math.floor(random.unit() * 16), life * 1000 + 999));
        void store.flush();
        for (let turn = Math.floor(random.unit() * 6); turn > 0; turn--) await Promise.resolve();
        expected = `${before}|${all(store)}`;
        disk = disk.crash(random);
      }
    }
  });

  test("a crash while it opens loses nothing", async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = seededRandom(seed);
      let disk = new MemoryDisk();
      const store = await RecordStore.open(disk, settings);
      store.put(groupOf(5, 9));
      await store.flush();
      for (let life = 0; life < 5; life++) {
        void RecordStore.open(disk, settings);
        for (let turn = Math.floor(random.unit() * 40); turn > 0; turn--) await Promise.resolve();
        disk = disk.crash(random);
      }

      const again = await RecordStore.open(disk, settings);

      expect(all(again), `seed ${seed}`).toBe(all(store));
    }
  });

  test("a flipped bit before the last write is refused, never read as forgotten votes", async () => {
    const written = headerBytes + 2 * (headerBytes + entryBytes);
    for (let offset = 0; offset < written - entryBytes - headerBytes; offset++) {
      const disk = new MemoryDisk();
      const store = await RecordStore.open(disk, settings);
      for (let n = 1; n <= 2; n++) {
        store.put(groupOf(n, 5));
        await store.flush();
      }
      disk.flipBit("witness-0", offset, offset % 8);

      await expect(RecordStore.open(disk, settings), `byte ${offset}`).rejects.toMatchObject({
        code: expect.stringMatching(/CORRUPT|VERSION/),
      });
    }
  });

  test("a flipped bit in a snapshot does not bring the superseded file back", async () => {
    const disk = new MemoryDisk();
    const store = await RecordStore.open(disk, settings);
    store.put(groupOf(1, 5));
    await store.flush();
    await RecordStore.open(disk, settings);
    disk.flipBit("witness-1", headerBytes + 40, 3);

    await expect(RecordStore.open(disk, settings)).rejects.toMatchObject({ code: "CORRUPT" });
  });
});
