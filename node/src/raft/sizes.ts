import type { Entry } from "./types.ts";

/** Size of one entry as it counts against message and apply limits: its fields in protobuf encoding, in bytes. */
export function entrySize(entry: Entry): number {
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

/** The longest prefix of entries[start..end) that fits `bytesMax`, but at least one entry. */
export function limitedSlice(entries: readonly Entry[], start: number, end: number, bytesMax: number): Entry[] {
  let stop = start;
  let size = 0;
  for (; stop < end; stop++) {
    size += entrySize(entries[stop] as Entry);
    if (size > bytesMax && stop > start) break;
  }
  return entries.slice(start, stop);
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}
