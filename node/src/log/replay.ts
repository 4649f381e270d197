import { must } from "../base/assert.ts";
import type { Entry, HardState } from "../raft/types.ts";
import { frameHeaderBytes } from "./format.ts";
import { type GroupIndex, GroupIndexes, groupKey } from "./group-index.ts";
import { type LogRecord, readRecord, readRecordHeader, type SnapshotMeta } from "./records.ts";

/** What a box knows of one group after a start. */
export interface RecoveredGroup {
  /** Number of the log. */
  group: number;
  generation: number;
  hardState: HardState;
  /** Undefined when none was ever written. */
  snapshotMeta: SnapshotMeta | undefined;
  /** Consecutive from snapshotMeta.index + 1 (1 without one). */
  entries: Entry[];
  /**
   * Why acknowledged data of this group may be missing. The replica must not vote, lead or serve from what is here, until
   * it was replicated anew with a `reset` write; the mark comes back at every start until then.
   */
  corrupt?: string;
}

interface Mark {
  reason: string;
  segment: number;
}

/** Builds the state of all groups from records in log order. */
export class Replay {
  readonly indexes = new GroupIndexes();
  /** Damage that cannot be pinned to groups: whoever was not reset since may have lost something. */
  unknowable: Mark | undefined;
  readonly #marks = new Map<number, Mark>();
  readonly #entries = new Map<number, Map<number, Entry>>();

  apply(record: LogRecord, segment: number): void {
    const key = groupKey(record.group, record.generation);
    const index = this.indexes.all.get(key);
    if (record.reset || record.removeGroup) {
      this.#entries.delete(key);
      this.#marks.delete(key);
    } else if (index === undefined && this.unknowable !== undefined && !this.#marks.has(key)) {
      this.#marks.set(key, this.unknowable);
    }
    this.#takeEntries(key, record);
    this.indexes.apply(copied(record), segment);
  }

  #takeEntries(key: number, record: LogRecord): void {
    let stored = this.#entries.get(key);
    if (stored === undefined) {
      stored = new Map();
      this.#entries.set(key, stored);
    }
    if (record.snapshotMeta !== undefined) {
      for (const i of stored.keys()) if (i <= record.snapshotMeta.index) stored.delete(i);
    }
    if (record.entries === undefined) return;
    const known = this.indexes.all.get(key)?.runs.at(-1)?.last ?? 0;
    if (!record.relocated) for (let i = must(record.entries[0], "entry").index; i <= known; i++) stored.delete(i);
    for (const entry of record.entries) stored.set(entry.index, { ...entry, data: Uint8Array.from(entry.data) });
  }

  /** Acknowledged data of one group was damaged. */
  markGroup(group: number, generation: number, mark: Mark): void {
    this.#marks.set(groupKey(group, generation), mark);
    this.indexes.apply({ group, generation }, mark.segment);
  }

  /** Acknowledged data of unknown groups was damaged. */
  markAll(mark: Mark): void {
    this.unknowable = mark;
    for (const key of this.indexes.all.keys()) if (!this.#marks.has(key)) this.#marks.set(key, mark);
  }

  /** Takes the sound records of a frame, marks the groups of damaged ones. False when damage hides whose it is. */
  applyFrame(frame: Buffer, segment: number): boolean {
    const records: { record?: LogRecord; group: number; generation: number }[] = [];
    for (let at = frameHeaderBytes; at < frame.length; ) {
      const header = readRecordHeader(frame, at, frame.length);
      if (header === undefined) return false;
      records.push({ record: readRecord(frame, at, header), group: header.group, generation: header.generation });
      at = header.end;
    }
    for (const { record, group, generation } of records) {
      if (record) this.apply(record, segment);
      else this.markGroup(group, generation, { segment, reason: `a record in segment ${segment} fails its checksum` });
    }
    return true;
  }

  finish(): Map<number, RecoveredGroup> {
    const groups = new Map<number, RecoveredGroup>();
    for (const [key, index] of this.indexes.all) groups.set(key, this.#recovered(key, index));
    return groups;
  }

  #recovered(key: number, index: GroupIndex): RecoveredGroup {
    const { group, generation, snapshotMeta } = index;
    const hardState = index.hardState ?? { term: 0, vote: 0, commit: 0 };
    const stored = this.#entries.get(key) ?? new Map<number, Entry>();
    const start = snapshotMeta?.index ?? 0;
    const entries: Entry[] = [];
    for (let i = start + 1; stored.has(i); i++) entries.push(must(stored.get(i), `entry ${i}`));
    const end = start + entries.length;
    const last = index.runs.at(-1)?.last ?? start;
    let mark = this.#marks.get(key);
    const segment = Math.min(index.oldestSegment, Number.MAX_SAFE_INTEGER);
    if (last > end) mark ??= { segment, reason: `entries after ${end} are missing although ${last} is stored` };
    if (hardState.commit > end)
      mark ??= { segment, reason: `entries up to ${hardState.commit} were committed, ${end} is the last` };
    if (mark !== undefined) index.corruptSegment = mark.segment;
    return { group, generation, hardState, snapshotMeta, entries, corrupt: mark?.reason };
  }
}

/** The record without views of the segment that it was read from. */
function copied(record: LogRecord): LogRecord {
  if (record.snapshotMeta === undefined) return record;
  return { ...record, snapshotMeta: { ...record.snapshotMeta, conf: Uint8Array.from(record.snapshotMeta.conf) } };
}
