import { assert, must } from "../base/assert.ts";
import type { HardState } from "../raft/types.ts";
import { entryBytes, type LogRecord, type SnapshotMeta } from "./records.ts";

/** Consecutive live entries of one group whose bytes lie in one segment. */
export interface Run {
  segment: number;
  first: number;
  last: number;
  /** Bytes of its entries; a share by count once the run was cut. */
  bytes: number;
}

/** Where the live data of one group and generation lie: what reclamation must keep. Entries themselves are not kept. */
export class GroupIndex {
  readonly group: number;
  readonly generation: number;
  hardState: HardState | undefined;
  snapshotMeta: SnapshotMeta | undefined;
  /** Segment of the newest record of hardState and snapshotMeta; 0 when there is none. */
  hardSegment = 0;
  metaSegment = 0;
  /** Segment with damage that may have cost this group data; it stays as the evidence until a reset. 0 = none. */
  corruptSegment = 0;
  /** Ascending and disjoint by index; segments in any order. */
  #runs: Run[] = [];

  constructor(group: number, generation: number) {
    this.group = group;
    this.generation = generation;
  }

  get runs(): readonly Run[] {
    return this.#runs;
  }
  get bytes(): number {
    let bytes = 0;
    for (const run of this.#runs) bytes += run.bytes;
    return bytes;
  }
  /** Oldest segment that must stay for this group; Infinity when it needs none. */
  get oldestSegment(): number {
    let oldest = Number.POSITIVE_INFINITY;
    if (this.hardSegment > 0) oldest = this.hardSegment;
    if (this.metaSegment > 0 && this.metaSegment < oldest) oldest = this.metaSegment;
    if (this.corruptSegment > 0 && this.corruptSegment < oldest) oldest = this.corruptSegment;
    for (const run of this.#runs) if (run.segment < oldest) oldest = run.segment;
    return oldest;
  }

  /** Takes in a record that is durable in `segment`. */
  apply(record: LogRecord, segment: number): void {
    if (record.reset || record.removeGroup) this.#forget();
    if (record.removeGroup) return;
    if (record.hardState !== undefined) {
      this.hardState = record.hardState;
      this.hardSegment = segment;
    }
    if (record.snapshotMeta !== undefined) {
      this.snapshotMeta = record.snapshotMeta;
      this.metaSegment = segment;
      this.#cut(0, record.snapshotMeta.index);
    }
    const entries = record.entries;
    if (entries === undefined || entries.length === 0) return;
    const first = must(entries[0], "first entry").index;
    const last = first + entries.length - 1;
    this.#cut(first, record.relocated ? last : Number.MAX_SAFE_INTEGER);
    let bytes = 0;
    for (const entry of entries) bytes += entryBytes(entry);
    this.#insert({ segment, first, last, bytes });
  }

  /** True when the newest bytes of entry `index` lie in `segment`. */
  isLive(index: number, segment: number): boolean {
    return this.#runs.some((run) => run.segment === segment && run.first <= index && index <= run.last);
  }

  #forget(): void {
    this.hardState = undefined;
    this.snapshotMeta = undefined;
    this.hardSegment = 0;
    this.metaSegment = 0;
    this.corruptSegment = 0;
    this.#runs = [];
  }

  #insert(run: Run): void {
    const tail = this.#runs.at(-1);
    if (tail === undefined || tail.last < run.first) {
      if (tail !== undefined && tail.segment === run.segment && tail.last + 1 === run.first) {
        tail.last = run.last;
        tail.bytes += run.bytes;
      } else {
        this.#runs.push(run);
      }
      return;
    }
    const at = this.#runs.findIndex((other) => other.first > run.last);
    this.#runs.splice(at === -1 ? this.#runs.length : at, 0, run);
    this.#runs = joined(this.#runs);
  }

  /** Entries from `first` to `last` are live no more where they lay. */
  #cut(first: number, last: number): void {
    const tail = this.#runs.at(-1);
    if (tail === undefined || tail.last < first || must(this.#runs[0], "first run").first > last) return;
    const kept: Run[] = [];
    for (const run of this.#runs) {
      if (run.last < first || run.first > last) {
        kept.push(run);
        continue;
      }
      if (run.first < first) kept.push(part(run, run.first, first - 1));
      if (run.last > last) kept.push(part(run, last + 1, run.last));
    }
    this.#runs = kept;
  }
}

function part(run: Run, first: number, last: number): Run {
  const share = (last - first + 1) / (run.last - run.first + 1);
  return { segment: run.segment, first, last, bytes: Math.ceil(run.bytes * share) };
}

function joined(runs: readonly Run[]): Run[] {
  const out: Run[] = [];
  for (const run of runs) {
    const tail = out.at(-1);
    if (tail !== undefined && tail.segment === run.segment && tail.last + 1 === run.first) {
      tail.last = run.last;
      tail.bytes += run.bytes;
    } else {
      out.push({ ...run });
    }
  }
  return out;
}

/** All groups of a log by number and generation. */
export class GroupIndexes {
  readonly all = new Map<number, GroupIndex>();

  of(group: number, generation: number): GroupIndex | undefined {
    return this.all.get(groupKey(group, generation));
  }

  /** Takes in a durable record; a removed group leaves. */
  apply(record: LogRecord, segment: number): void {
    const key = groupKey(record.group, record.generation);
    let index = this.all.get(key);
    if (index === undefined) {
      if (record.removeGroup) return;
      index = new GroupIndex(record.group, record.generation);
      this.all.set(key, index);
    }
    index.apply(record, segment);
    if (record.removeGroup) this.all.delete(key);
  }

  /** Oldest segment that some group needs; Infinity when none. */
  get oldestSegment(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const index of this.all.values()) oldest = Math.min(oldest, index.oldestSegment);
    return oldest;
  }
}

const generations = 2 ** 16;
const groups = 2 ** 37;

/** Whether there can be such a group: what comes from elsewhere is asked before it gets here. */
export function isGroup(group: number, generation: number): boolean {
  return group < groups && generation < generations;
}

/** Key of a group and generation in maps. */
export function groupKey(group: number, generation: number): number {
  assert(isGroup(group, generation), `group ${group} is below 2^37, generation ${generation} below 2^16`);
  return group * generations + generation;
}
