// Values of the state reach a box from peers too, in snapshots: whose digest holds, but whose maker may be anybody with a
// certificate.
import fc from "fast-check";
import { expect, test } from "vitest";
import { InvariantError } from "../base/assert.ts";
import { badBytes } from "../base/testing/bent.ts";
import { decodeCounters, encodeCounters, newCounters } from "./counters.ts";
import { decodeChunks, decodeEntry, encodeChunks, encodeEntry, rootEntry } from "./entry.ts";
import { decodeEvent, encodeEvent } from "./event.ts";
import { decodeBlock, decodeRow, encodeBlock, encodeRow } from "./journal-rows.ts";
import { decodeLock, encodeLock } from "./lock-record.ts";
import { MemoryStateStore } from "./memory-store.ts";
import { decodeOwnership, encodeOwnership } from "./ownership.ts";
import { decodePolicy, encodePolicy, firstPolicy } from "./policy.ts";
import { restore, snapshot } from "./snapshot.ts";

const id = Buffer.alloc(16, 7);
const entry = encodeEntry({ ...rootEntry, type: "file", size: 3, etag: id, metadata: { colour: "blue" } });
const holder = { lockId: id, counter: 1, generation: 1, ttlMs: 1000, extendSeq: 0, owner: "o" };
const lock = { kind: "mutex", slots: 1, holders: [holder], waiters: [{ waiterId: id, ttlMs: 1000, owner: "p" }] };
const event = encodeEvent({ kind: "moved", path: "/a/b", fromPath: "/c", logTimeMs: 5, entry });
const block = { first: 1, events: 2, requests: 1, requestBytes: 40, newestMs: 9 };
const heads = { count: 1, offsets: Uint32Array.of(3), heads: Buffer.alloc(16) };
const store = new MemoryStateStore();
store.write([{ key: "a", value: entry }]);
const state = Buffer.concat([...snapshot(store)]);

const decoders: { name: string; written: Uint8Array; read: (bytes: Uint8Array) => unknown }[] = [
  { name: "an entry", written: entry, read: decodeEntry },
  { name: "a list of chunks", written: encodeChunks([{ address: id, size: 9 }]), read: decodeChunks },
  { name: "a lock", written: encodeLock(lock), read: decodeLock },
  { name: "an event", written: event, read: (bytes) => decodeEvent(bytes, { index: 1, ordinal: 0, generation: 1 }) },
  {
    name: "a row of the journal",
    written: encodeRow({ clockMs: 4, event, hasMore: false, request: { id, answer: entry } }),
    read: decodeRow,
  },
  { name: "a block of the journal", written: encodeBlock(block, heads), read: (bytes) => readBlock(bytes) },
  {
    name: "what a zone owns",
    written: encodeOwnership({ pattern: "/a/**", exclusions: ["/a/b/**"], epoch: 2 }),
    read: decodeOwnership,
  },
  { name: "a zone's policy", written: encodePolicy({ ...firstPolicy, next: firstPolicy.now }), read: decodePolicy },
  { name: "counters", written: encodeCounters(newCounters()), read: decodeCounters },
  { name: "a snapshot", written: state, read: (bytes) => restore(new MemoryStateStore(), [bytes]) },
];

function readBlock(bytes: Uint8Array): number {
  let found = 0;
  decodeBlock(bytes, 1, () => found++);
  expect(found).toBeLessThanOrEqual(bytes.length);
  return found;
}

test.each(decoders)("$name of other bytes is read in bounds, or is a broken invariant", ({ written, read }) => {
  read(written);
  fc.assert(
    fc.property(badBytes(written), (bytes) => {
      try {
        read(bytes);
      } catch (error) {
        const noText = (error as NodeJS.ErrnoException).code === "ERR_ENCODING_INVALID_ENCODED_DATA";
        if (!noText) expect(error).toBeInstanceOf(InvariantError);
      }
    }),
    { numRuns: 1000 },
  );
});
