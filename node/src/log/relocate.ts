import { must } from "../base/assert.ts";
import { asBuffer } from "../base/bytes.ts";
import { NexusError } from "../base/errors.ts";
import type { Entry } from "../raft/types.ts";
import type { DiskFile } from "./disk.ts";
import { aligned, findFrame, frameHeaderBytes, readSegmentHeader, segmentHeaderBytes } from "./format.ts";
import { type GroupIndex, type GroupIndexes, groupKey } from "./group-index.ts";
import { entryBytes, type LogRecord, readRecord, readRecordHeader } from "./records.ts";

/**
 * Rewrites what is still alive in the oldest segment at the head of the log, in steps, so that a group that is idle does
 * not keep every later segment. Each step asks anew what is alive: appends go on in between.
 */
export class Relocation {
  readonly segment: number;
  readonly #steps: { index: GroupIndex; entries: Entry[] }[] = [];
  readonly #indexes: GroupIndexes;

  private constructor(indexes: GroupIndexes, segment: number) {
    this.#indexes = indexes;
    this.segment = segment;
  }

  /** Reads the segment up to `endOffset`. `stepBytes` bounds one step, but for a single larger entry. */
  static async plan(
    indexes: GroupIndexes,
    file: DiskFile,
    options: { segment: number; endOffset: number; stepBytes: number },
  ) {
    const relocation = new Relocation(indexes, options.segment);
    const view = await file.read(0, options.endOffset);
    const newest = newestEntries(asBuffer(view), options.segment);
    for (const [key, index] of indexes.all) {
      if (index.oldestSegment === options.segment) relocation.#plan(index, newest.get(key), options.stepBytes);
    }
    return relocation;
  }

  #plan(index: GroupIndex, newest: Map<number, Entry> | undefined, stepBytes: number): void {
    let step: Entry[] = [];
    let bytes = 0;
    this.#steps.push({ index, entries: step });
    for (const run of index.runs) {
      if (run.segment !== this.segment) continue;
      for (let i = run.first; i <= run.last; i++) {
        const entry = stored(newest, i, index);
        if (bytes > 0 && bytes + entryBytes(entry) > stepBytes) {
          step = [];
          bytes = 0;
          this.#steps.push({ index, entries: step });
        }
        step.push(entry);
        bytes += entryBytes(entry);
      }
    }
  }

  /** The records of the next step; undefined when all is done. */
  next(): LogRecord[] | undefined {
    const step = this.#steps.shift();
    if (step === undefined) return undefined;
    const { index } = step;
    const { group, generation } = index;
    if (this.#indexes.of(group, generation) !== index) return [];
    const records: LogRecord[] = [];
    const { hardState, snapshotMeta } = index;
    if (index.hardSegment === this.segment) records.push({ group, generation, relocated: true, hardState });
    if (index.metaSegment === this.segment) records.push({ group, generation, relocated: true, snapshotMeta });
    for (const entries of consecutive(step.entries.filter((entry) => index.isLive(entry.index, this.segment)))) {
      records.push({ group, generation, relocated: true, entries });
    }
    return records;
  }
}

function consecutive(entries: Entry[]): Entry[][] {
  const out: Entry[][] = [];
  for (const entry of entries) {
    const tail = out.at(-1);
    if (tail !== undefined && tail.at(-1)?.index === entry.index - 1) tail.push(entry);
    else out.push([entry]);
  }
  return out;
}

/** By group key and index, the last entry written in the segment. */
function newestEntries(bytes: Buffer, segment: number): Map<number, Map<number, Entry>> {
  const salt = readSegmentHeader(bytes)?.salt;
  if (salt === undefined) return new Map();
  const newest = new Map<number, Map<number, Entry>>();
  for (let frame = findFrame(bytes, { segment, offset: segmentHeaderBytes }, salt); frame; ) {
    const end = frame.place.offset + frame.lengthBytes;
    for (let at = frame.place.offset + frameHeaderBytes; at < end; ) {
      const header = must(readRecordHeader(bytes, at, end), "header of a record in a sound frame");
      const record = must(readRecord(bytes, at, header), "record in a sound frame");
      for (const entry of record.entries ?? []) {
        const key = groupKey(record.group, record.generation);
        let entries = newest.get(key);
        if (entries === undefined) {
          entries = new Map();
          newest.set(key, entries);
        }
        entries.set(entry.index, entry);
      }
      at = header.end;
    }
    // Not simply the next: groups that lost data in a damaged frame were reset since, the others' frames follow it.
    frame = findFrame(bytes, { segment, offset: aligned(end) }, salt);
  }
  return newest;
}

function stored(newest: Map<number, Entry> | undefined, i: number, index: GroupIndex): Entry {
  const entry = newest?.get(i);
  if (entry !== undefined) return entry;
  throw new NexusError(
    "CORRUPT",
    `Entry ${i} of log ${index.group} cannot be read back: restart this box to find out more.`,
  );
}
