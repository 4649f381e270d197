import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "./codec.ts";

/** The machine's few numbers, stored as one value once a drain. */
export interface Counters {
  /** Index of the last entry applied; written in one batch with what it changed. */
  appliedIndex: number;
  /** Log time of the last command. Invariant: never goes back. */
  logTimeMs: number;
  /** Next id of a file or directory; the root is 1. */
  nextId: number;
  /** Fence of the last grant. Invariant: never goes back; +1 a grant, so no two grants share one. */
  fence: number;
  /** Requests of entries below this index are forgotten. */
  requestFirst: number;
  /** Remembered requests, and what they cost. */
  requestCount: number;
  requestBytes: number;
  /** Events at or below this index are gone. */
  feedFloor: number;
  feedCount: number;
  /** First index of the journal's block that is being filled. */
  blockFirst: number;
  /** Rows of the journal below this index are gone. */
  journalFloor: number;
  /** Dropped chunks have the sequences [droppedFirst, droppedNext). */
  droppedFirst: number;
  droppedNext: number;
  /** Drops at or below this index are forgotten: uploads that began at or before it are refused. */
  droppedFloor: number;
  /** Feature level of the log. */
  level: number;
  /** Grants that are held now, over all locks. */
  locksHeld: number;
  /** Log time without its jumps: what remembered requests age by. Invariant: moves by no more than the log time does. */
  requestClockMs: number;
}

const fields: readonly (keyof Counters)[] = [
  "appliedIndex",
  "logTimeMs",
  "nextId",
  "fence",
  "requestFirst",
  "requestCount",
  "requestBytes",
  "feedFloor",
  "feedCount",
  "blockFirst",
  "journalFloor",
  "droppedFirst",
  "droppedNext",
  "droppedFloor",
  "level",
  "locksHeld",
  "requestClockMs",
];

export function newCounters(): Counters {
  return {
    appliedIndex: 0,
    logTimeMs: 0,
    nextId: 2,
    fence: 0,
    requestFirst: 0,
    requestCount: 0,
    requestBytes: 0,
    feedFloor: 0,
    feedCount: 0,
    blockFirst: 0,
    journalFloor: 0,
    droppedFirst: 0,
    droppedNext: 0,
    droppedFloor: 0,
    level: 1,
    locksHeld: 0,
    requestClockMs: 0,
  };
}

export function encodeCounters(counters: Counters): Uint8Array {
  const writer = new ByteWriter();
  for (const field of fields) writer.varint(counters[field]);
  return writer.finish();
}

export function decodeCounters(bytes: Uint8Array): Counters {
  const reader = new ByteReader(bytes);
  const out = newCounters();
  // What an earlier version stored ends before the newest fields.
  for (const field of fields) if (!reader.done) out[field] = reader.varint();
  assert(reader.done, "the stored counters have no more fields than this version knows");
  return out;
}
