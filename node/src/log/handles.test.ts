import { expect, test } from "vitest";
import type { Disk, DiskFile } from "./disk.ts";
import { MemoryDisk } from "./disk-memory.ts";
import { SegmentLog } from "./segment-log.ts";

/** A disk that counts what is open, and whose reads fail from one on. */
class CountingDisk implements Disk {
  readonly #inner = new MemoryDisk();
  opened = 0;
  reads = 0;
  failFrom = Number.POSITIVE_INFINITY;

  list = () => this.#inner.list();
  remove = (name: string) => this.#inner.remove(name);
  freeBytes = () => this.#inner.freeBytes();

  async open(name: string, options?: { createBytes?: number }): Promise<DiskFile> {
    const file = await this.#inner.open(name, options);
    this.opened++;
    return {
      sizeBytes: file.sizeBytes,
      read: async (offset, length) => {
        if (++this.reads >= this.failFrom) throw new Error("input/output error");
        return file.read(offset, length);
      },
      write: (offset, bytes) => file.write(offset, bytes),
      close: async () => {
        this.opened--;
        await file.close();
      },
    };
  }
}

const settings = { segmentBytes: 4096, segmentsBeforeRelocation: 100 };

test("whichever read of a start fails, no file stays open", async () => {
  const disk = new CountingDisk();
  const first = await SegmentLog.open(disk, settings);
  for (let index = 1; index <= 20; index++) {
    const entry = { index, term: 1, epoch: 0, type: "EntryNormal", data: new Uint8Array(500) } as const;
    await first.log.append([{ group: 1, generation: 1, entries: [entry] }]);
  }
  await first.log.close();
  expect(disk.opened).toBe(0);

  let failures = 0;
  for (disk.failFrom = 1; ; disk.failFrom++) {
    disk.reads = 0;
    const found = await SegmentLog.open(disk, settings).catch(() => undefined);
    if (found !== undefined) {
      await found.log.close();
      break;
    }
    failures++;
    expect(disk.opened).toBe(0);
  }
  expect(failures).toBeGreaterThan(4);
  expect(disk.opened).toBe(0);
});
