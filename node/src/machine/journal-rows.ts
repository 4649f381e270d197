// Rows of the journal (journal.ts): what one entry of the log left behind, and the summary of a block of them.
import { assert } from "../base/assert.ts";
import { noBytes } from "../base/bytes.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import { idHeadBytes } from "./request-index.ts";

/** A request whose answer is remembered, as bytes of requests.ts; empty when the row's event says it all. */
export interface RequestPart {
  id: Uint8Array;
  answer: Uint8Array;
}

/** What an entry left: its first event, its request, or both. */
export interface Row {
  /** Where the requests' clock stood (Counters.requestClockMs). */
  clockMs: number;
  event: Uint8Array | undefined;
  /** Further events have rows of their own. */
  hasMore: boolean;
  request: RequestPart | undefined;
}

const hasMoreFlag = 1;
const requestFlag = 2;
const writer = new ByteWriter();

export function encodeRow({ clockMs, event, hasMore, request }: Row): Uint8Array {
  writer.reset().byte((hasMore ? hasMoreFlag : 0) | (request === undefined ? 0 : requestFlag));
  writer.varint(clockMs).bytes(event ?? noBytes);
  if (request !== undefined) writer.bytes(request.id).bytes(request.answer);
  return writer.finish();
}

export function decodeRow(bytes: Uint8Array): Row {
  const reader = new ByteReader(bytes);
  const flags = reader.byte();
  const clockMs = reader.varint();
  const event = reader.bytes();
  const request = (flags & requestFlag) === 0 ? undefined : { id: reader.bytes(), answer: reader.bytes() };
  assert(reader.done, "a row of the journal has no more than this version knows");
  return { clockMs, event: event.length > 0 ? event : undefined, hasMore: (flags & hasMoreFlag) !== 0, request };
}

/** Events and remembered requests of a span of indexes. */
export interface Block {
  /** First index of the span. */
  first: number;
  events: number;
  requests: number;
  requestBytes: number;
  /** Where the requests' clock stood at the newest request. */
  newestMs: number;
}

/** Where in a block requests stand, with the heads of their ids: enough to find them again without their rows. */
export interface RequestHeads {
  count: number;
  offsets: Uint32Array;
  heads: Uint8Array;
}

export function encodeBlock(block: Block, { count, offsets, heads }: RequestHeads): Uint8Array {
  writer.reset().varint(block.events).varint(block.requests).varint(block.requestBytes).varint(block.newestMs);
  writer.varint(count);
  let before = 0;
  for (let i = 0; i < count; i++) {
    writer.varint(offsets[i]! - before);
    before = offsets[i]!;
  }
  return writer.bytes(heads.subarray(0, count * idHeadBytes)).finish();
}

/** `each` hears of every request in it. */
export function decodeBlock(bytes: Uint8Array, first: number, each: (head: Uint8Array, index: number) => void): Block {
  const reader = new ByteReader(bytes);
  const events = reader.varint();
  const requests = reader.varint();
  const requestBytes = reader.varint();
  const newestMs = reader.varint();
  const offsets: number[] = [];
  let index = first;
  for (let left = reader.varint(); left > 0; left--) {
    index += reader.varint();
    offsets.push(index);
  }
  const heads = reader.bytes();
  for (const [i, at] of offsets.entries()) each(heads.subarray(i * idHeadBytes, (i + 1) * idHeadBytes), at);
  return { first, events, requests, requestBytes, newestMs };
}
