import { crc32 } from "node:zlib";
import { assert, must } from "../base/assert.ts";
import { type Entry, entryTypes, type HardState } from "../raft/types.ts";
import { recordHeaderBytes } from "./format.ts";

/** What a snapshot leaves of the entries it covers. */
export interface SnapshotMeta {
  /** Index, term and epoch of the last entry covered. */
  readonly index: number;
  readonly term: number;
  readonly epoch: number;
  /** The configuration at that index, opaque here. */
  readonly conf: Uint8Array;
}

/** What one group wants durable. Applied in the order of the fields. */
export interface LogWrite {
  /** Number of the log. */
  group: number;
  generation: number;
  /** Forgets all that was stored of this group and generation, and with it a mark of corruption. */
  reset?: boolean;
  /** Like `reset`, and nothing is left. */
  removeGroup?: boolean;
  hardState?: HardState;
  /**
   * The log now starts after its index (a snapshot was made or received, or the head is no longer needed); entries up to
   * it are dropped, those after it stay. A received snapshot that replaces the log comes with `reset` and `hardState`.
   */
  snapshotMeta?: SnapshotMeta;
  /** Consecutive. Drops every stored entry from the index of the first one on. */
  entries?: readonly Entry[];
}

/** A record as written: a LogWrite, or a copy that reclamation made of entries in an old segment. */
export interface LogRecord extends LogWrite {
  /** Entries stand beside what is stored and drop nothing. */
  relocated?: boolean;
}

const flags = { reset: 1, remove: 2, hardState: 4, snapshot: 8, relocated: 16 };
const entryHeaderBytes = 20;
const entryTypeNumbers = new Map(entryTypes.map((type, number) => [type, number]));

/** Bytes that writeRecord will use. */
export function recordBytes(record: LogRecord): number {
  let bytes = recordHeaderBytes;
  if (record.hardState !== undefined) bytes += 24;
  if (record.snapshotMeta !== undefined) bytes += 24 + record.snapshotMeta.conf.length;
  const entries = record.entries;
  if (entries !== undefined && entries.length > 0) {
    bytes += 8;
    for (const entry of entries) bytes += entryBytes(entry);
  }
  return bytes;
}

export function entryBytes(entry: Entry): number {
  return entryHeaderBytes + entry.data.length;
}

/** Writes the record at `at` and returns where it ends. There must be room. */
export function writeRecord(out: Buffer, at: number, record: LogRecord): number {
  const entries = record.entries ?? [];
  let flag = 0;
  let end = at + recordHeaderBytes;
  if (record.reset) flag |= flags.reset;
  if (record.removeGroup) flag |= flags.remove;
  if (record.relocated) flag |= flags.relocated;
  if (record.hardState !== undefined) {
    flag |= flags.hardState;
    end = writeU64(out, end, record.hardState.term);
    end = writeU64(out, end, record.hardState.vote);
    end = writeU64(out, end, record.hardState.commit);
  }
  if (record.snapshotMeta !== undefined) {
    flag |= flags.snapshot;
    end = writeSnapshot(out, end, record.snapshotMeta);
  }
  if (entries.length > 0) end = writeEntries(out, end, entries);
  out.writeUInt32LE(end - at - recordHeaderBytes, at + 8);
  out.writeUInt32LE(record.generation, at + 12);
  writeU64(out, at + 16, record.group);
  out.writeUInt32LE(flag, at + 24);
  out.writeUInt32LE(entries.length, at + 28);
  out.writeUInt32LE(crc32(out.subarray(at + recordHeaderBytes, end)), at + 4);
  out.writeUInt32LE(crc32(out.subarray(at + 4, at + recordHeaderBytes)), at);
  return end;
}

function writeSnapshot(out: Buffer, at: number, meta: SnapshotMeta): number {
  let end = writeU64(out, at, meta.index);
  end = writeU64(out, end, meta.term);
  out.writeUInt32LE(meta.epoch, end);
  out.writeUInt32LE(meta.conf.length, end + 4);
  out.set(meta.conf, end + 8);
  return end + 8 + meta.conf.length;
}

function writeEntries(out: Buffer, at: number, entries: readonly Entry[]): number {
  let index = must(entries[0], "first entry").index;
  let end = writeU64(out, at, index);
  for (const entry of entries) {
    assert(entry.index === index++, "entries of one write are consecutive");
    writeU64(out, end, entry.term);
    out.writeUInt32LE(entry.epoch, end + 8);
    out.writeUInt32LE(must(entryTypeNumbers.get(entry.type), `number of ${entry.type}`), end + 12);
    out.writeUInt32LE(entry.data.length, end + 16);
    out.set(entry.data, end + entryHeaderBytes);
    end += entryHeaderBytes + entry.data.length;
  }
  return end;
}

export interface RecordHeader {
  group: number;
  generation: number;
  /** Where the record ends. */
  end: number;
}

/** Undefined when the header at `at` is damaged or reaches beyond `limit`. */
export function readRecordHeader(bytes: Buffer, at: number, limit: number): RecordHeader | undefined {
  if (at + recordHeaderBytes > limit) return undefined;
  if (bytes.readUInt32LE(at) !== crc32(bytes.subarray(at + 4, at + recordHeaderBytes))) return undefined;
  const end = at + recordHeaderBytes + bytes.readUInt32LE(at + 8);
  if (end > limit) return undefined;
  return { group: readU64(bytes, at + 16), generation: bytes.readUInt32LE(at + 12), end };
}

/** The record whose header is sound; undefined when its body is not. Data are views of `bytes`. */
export function readRecord(bytes: Buffer, at: number, header: RecordHeader): LogRecord | undefined {
  if (bytes.readUInt32LE(at + 4) !== crc32(bytes.subarray(at + recordHeaderBytes, header.end))) return undefined;
  const flag = bytes.readUInt32LE(at + 24);
  const count = bytes.readUInt32LE(at + 28);
  const record: LogRecord = { group: header.group, generation: header.generation };
  let next = at + recordHeaderBytes;
  if (flag & flags.reset) record.reset = true;
  if (flag & flags.remove) record.removeGroup = true;
  if (flag & flags.relocated) record.relocated = true;
  if (flag & flags.hardState) {
    record.hardState = {
      term: readU64(bytes, next),
      vote: readU64(bytes, next + 8),
      commit: readU64(bytes, next + 16),
    };
    next += 24;
  }
  if (flag & flags.snapshot) {
    const confEnd = next + 24 + bytes.readUInt32LE(next + 20);
    record.snapshotMeta = {
      index: readU64(bytes, next),
      term: readU64(bytes, next + 8),
      epoch: bytes.readUInt32LE(next + 16),
      conf: bytes.subarray(next + 24, confEnd),
    };
    next = confEnd;
  }
  if (count > 0) record.entries = readEntries(bytes, next, count);
  return record;
}

function readEntries(bytes: Buffer, at: number, count: number): Entry[] {
  let index = readU64(bytes, at);
  let next = at + 8;
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) {
    const end = next + entryHeaderBytes + bytes.readUInt32LE(next + 16);
    entries.push({
      index: index++,
      term: readU64(bytes, next),
      epoch: bytes.readUInt32LE(next + 8),
      type: must(entryTypes[bytes.readUInt32LE(next + 12)], "name of the entry's type"),
      data: bytes.subarray(next + entryHeaderBytes, end),
    });
    next = end;
  }
  return entries;
}

function writeU64(out: Buffer, at: number, value: number): number {
  out.writeUInt32LE(value % 0x1_0000_0000, at);
  out.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
  return at + 8;
}

function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 0x1_0000_0000;
}
