import type { Entry } from "./types.ts";

/** Positions from .. until - 1 of an array. */
export interface Range {
  readonly from: number;
  readonly until: number;
}

/** Size of one entry as it counts against message and apply limits: its fields in protobuf encoding, in bytes. */
function entrySize(entry: Entry): number {
  const dataSize = entry.data.length === 0 ? 0 : 1 + varintSize(entry.data.length) + entry.data.length;
  const typeSize = entry.type === "EntryNormal" ? 0 : 2;
  const epochSize = entry.epoch === 0 ? 0 : 1 + varintSize(entry.epoch);
  return 2 + varintSize(entry.term) + varintSize(entry.index) + typeSize + epochSize + dataSize;
}

export function entriesSize(entries: readonly Entry[]): number {
  let size = 0;
  for (const entry of entries) size += entrySize(entry);
  return size;
}

/** Bytes of data alone, as they count against the uncommitted and inflight limits: empty entries weigh nothing. */
export function payloadSize(entries: readonly Entry[]): number {
  let size = 0;
  for (const entry of entries) size += entry.data.length;
  return size;
}

/** The longest prefix of entries[from .. until) that fits `bytesMax`, but at least one entry. */
export function limitedSlice(entries: readonly Entry[], { from, until }: Range, bytesMax: number): Entry[] {
  let end = from;
  let size = 0;
  for (; end < until; end++) {
    size += entrySize(entries[end] as Entry);
    if (size > bytesMax && end > from) break;
  }
  return entries.slice(from, end);
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}
