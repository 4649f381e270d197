import { expect, test } from "vitest";
import { NexusError } from "../base/errors.ts";
import { MemoryDisk } from "./disk-memory.ts";
import { groupKey } from "./group-index.ts";
import { SegmentLog } from "./segment-log.ts";

/** A disk that once cannot remove a file. */
class ObstinateDisk extends MemoryDisk {
  readonly refused = Promise.withResolvers<void>();
  #refusals = 1;

  override async remove(name: string): Promise<void> {
    if (this.#refusals-- <= 0) return super.remove(name);
    this.refused.resolve();
    throw new NexusError("INTERNAL", `Disk: remove ${name} failed.`);
  }
}

const small = { segmentBytes: 4096, frameBytesMax: 2048, salt: 9 };
const data = new Uint8Array(1500);

async function filled(disk: MemoryDisk, until: number) {
  const { log } = await SegmentLog.open(disk, small);
  for (let index = 1; index <= until; index++) {
    const entry = { index, term: 1, epoch: 0, type: "EntryNormal" as const, data };
    await log.append([{ group: 1, generation: 1, entries: [entry] }]);
  }
  const compact = (index: number) =>
    log.append([{ group: 1, generation: 1, snapshotMeta: { index, term: 1, epoch: 0, conf: new Uint8Array(0) } }]);
  return { log, compact };
}

test("a segment that cannot be removed does not make the log look damaged at the next start, and goes later", async () => {
  const disk = new ObstinateDisk();
  const { log, compact } = await filled(disk, 12);
  const before = disk.files.size;

  await compact(9);
  await disk.refused.promise;
  const { groups, corrupt } = await SegmentLog.open(new MemoryDisk({}, new Map(disk.files)), small);
  expect(corrupt).toBeUndefined();
  expect(groups.get(groupKey(1, 1))?.corrupt).toBeUndefined();

  await compact(10);
  await log.close();
  expect(disk.files.size).toBeLessThan(before - 2);
});
