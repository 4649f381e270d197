// What the log's entries left behind for others than the tree: the events of the change feed and the answers to requests.
//
// The problem: both are written with every command and hardly ever read. Kept by id, answers are inserted at random
// places of the store, the dearest thing a put can do there; each event and each answer is then read again to be deleted.
// So an entry leaves one row, under its index: the first event and the answer together. Rows lie in blocks, spans of
// indexes. What a block holds in sum is kept in memory and, once the block is full, as one row, so that feed and memory
// shrink by whole blocks and nothing is read to be forgotten. The places of ids are in memory (request-index.ts); after a
// start they come from the rows of blocks.
import { assert } from "../base/assert.ts";
import { equalBytes } from "../base/bytes.ts";
import type { Counters } from "./counters.ts";
import {
  type Block,
  decodeBlock,
  decodeRow,
  encodeBlock,
  encodeRow,
  type RequestPart,
  type Row,
} from "./journal-rows.ts";
import { after, answerRowKey, blockKey, blockPrefix, eventKey, indexOfJournalKey, moreEventsKey } from "./keys.ts";
import type { MachineLimits } from "./limits.ts";
import type { Overlay } from "./overlay.ts";
import { idHeadBytes, RequestIndex } from "./request-index.ts";
import type { StateKey } from "./store.ts";

/** The machine's state as far as the journal needs it. `counters` may be another object after each command. */
export interface JournalNeeds {
  readonly overlay: Overlay;
  readonly limits: MachineLimits;
  readonly counters: Counters;
}

/** Bytes that a remembered request costs beside its row. */
const overheadBytes = 64;

export class Journal {
  readonly #needs: JournalNeeds;
  readonly #index = new RequestIndex();
  /** Full blocks that still hold events, and such that still hold requests, oldest first. */
  readonly #withEvents: Block[] = [];
  readonly #withRequests: Block[] = [];
  #open: OpenBlock;
  /** Further events and rows up to here were cut in this life; what an earlier one left is cut with the first. */
  #cutEvents = 0;
  #cutRows = 0;

  /** Reads what is needed of the rows of full blocks and of the rows since the last one. */
  constructor(needs: JournalNeeds) {
    this.#needs = needs;
    const { counters, limits, overlay } = needs;
    this.#open = new OpenBlock(counters.blockFirst);
    const range = { from: blockKey(counters.journalFloor), to: after(blockPrefix) };
    for (const { key, value } of overlay.scan(range)) {
      const first = indexOfJournalKey(key);
      const isKnown = first + limits.blockEntries > counters.requestFirst;
      const block = decodeBlock(value, first, (head, index) => isKnown && this.#index.add(head, index));
      if (!isKnown) block.requests = 0;
      this.#recount(block);
      this.#keep(block);
    }
    this.#readOpen();
    this.#check();
  }

  #check(): void {
    const { feedCount, requestCount, requestBytes } = this.#needs.counters;
    let [events, requests, bytes] = [this.#open.events, this.#open.requests, this.#open.requestBytes];
    for (const block of this.#withEvents) events += block.events;
    for (const block of this.#withRequests) {
      requests += block.requests;
      bytes += block.requestBytes;
    }
    const isWhole = events === feedCount && requests === requestCount && bytes === requestBytes;
    assert(isWhole, "the blocks of the journal add up to what the counters say");
  }

  #keep(block: Block): void {
    if (block.events > 0) this.#withEvents.push(block);
    if (block.requests > 0) this.#withRequests.push(block);
  }

  /** A block's row was written before the feed was compacted up to somewhere in it, or past it. */
  #recount(block: Block): void {
    const { feedFloor } = this.#needs.counters;
    if (feedFloor < block.first) return;
    const end = block.first + this.#needs.limits.blockEntries;
    block.events = feedFloor + 1 >= end ? 0 : this.#countEvents(feedFloor + 1, end);
  }

  #countEvents(from: number, to: number): number {
    const { overlay } = this.#needs;
    let count = 0;
    for (const _ of overlay.scan({ from: eventKey(from), to: eventKey(to) })) count++;
    for (const _ of overlay.scan({ from: moreEventsKey(from, 0), to: moreEventsKey(to, 0) })) count++;
    return count;
  }

  #readOpen(): void {
    const { overlay, counters, limits } = this.#needs;
    const [first, end] = [counters.blockFirst, counters.blockFirst + limits.blockEntries];
    this.#open.events = this.#countEvents(Math.max(first, counters.feedFloor + 1), end);
    const from = Math.max(first, counters.requestFirst);
    const found: { index: number; row: Row; bytes: number }[] = [];
    for (const key of [eventKey, answerRowKey]) {
      for (const pair of overlay.scan({ from: key(from), to: key(end) })) {
        const row = decodeRow(pair.value);
        if (row.request) found.push({ index: indexOfJournalKey(pair.key), row, bytes: pair.value.length });
      }
    }
    found.sort((a, b) => a.index - b.index);
    for (const { index, row, bytes } of found) this.#remember(row.request!.id, { index, bytes, clockMs: row.clockMs });
  }

  #remember(id: Uint8Array, { index, bytes, clockMs }: { index: number; bytes: number; clockMs: number }): void {
    this.#index.add(id, index);
    this.#open.add(id, { offset: index - this.#open.first, bytes: bytes + overheadBytes, clockMs });
  }

  /** Where the requests' clock stood at the newest of those that are forgotten next; undefined when none is remembered. */
  get oldestMs(): number | undefined {
    const oldest = this.#withRequests[0];
    if (oldest !== undefined) return oldest.newestMs;
    return this.#open.requests > 0 ? this.#open.newestMs : undefined;
  }

  /** The row of a remembered request. */
  find(id: Uint8Array): (Row & { index: number }) | undefined {
    const { overlay, counters } = this.#needs;
    const places = this.#index.find(id, counters.requestFirst);
    // The newest first: one that had grown too old may have come again.
    for (let i = places.length - 1; i >= 0; i--) {
      const bytes = overlay.get(eventKey(places[i]!)) ?? overlay.get(answerRowKey(places[i]!));
      if (bytes === undefined) continue;
      const row = decodeRow(bytes);
      if (row.request !== undefined && equalBytes(row.request.id, id)) return { ...row, index: places[i]! };
    }
    return undefined;
  }

  /** What entry `index` leaves behind; `events` is the number of its events, of which `event` is the first. */
  record(index: number, entry: { clockMs: number; event?: Uint8Array; events: number; request?: RequestPart }): void {
    const { overlay, limits, counters } = this.#needs;
    const { clockMs, event, events, request } = entry;
    const first = index - (index % limits.blockEntries);
    const isFirst = first !== this.#open.first;
    if (isFirst) this.#next(first);
    const bytes = encodeRow({ clockMs, event, hasMore: events > 1, request });
    overlay.put(event === undefined ? answerRowKey(index) : eventKey(index), bytes);
    this.#open.events += events;
    counters.feedCount += events;
    if (request !== undefined) {
      this.#remember(request.id, { index, bytes: bytes.length, clockMs });
      counters.requestCount++;
      counters.requestBytes += bytes.length + overheadBytes;
    }
    if (isFirst) this.#trim();
  }

  /** The open block is full. */
  #next(first: number): void {
    const { overlay, counters } = this.#needs;
    const full = this.#open;
    assert(first > full.first, "indexes grow");
    if (full.events > 0 || full.requests > 0) {
      overlay.put(blockKey(full.first), encodeBlock(full, full.heads));
      this.#keep(full.summary());
    }
    this.#open = new OpenBlock(first);
    counters.blockFirst = first;
  }

  /** Keeps the feed within its bound, by whole blocks. */
  #trim(): void {
    const { limits, counters } = this.#needs;
    for (let oldest = this.#withEvents[0]; oldest !== undefined; oldest = this.#withEvents[0]) {
      if (counters.feedCount - oldest.events < limits.feedEventsMax) break;
      this.#withEvents.shift();
      counters.feedCount -= oldest.events;
      counters.feedFloor = oldest.first + limits.blockEntries - 1;
    }
    this.#cut();
  }

  /** Removes rows that nothing refers to any more. */
  #cut(): void {
    const { overlay, counters } = this.#needs;
    const events = this.#withEvents[0]?.first ?? counters.blockFirst;
    const requests = this.#withRequests[0]?.first ?? counters.blockFirst;
    const floor = Math.min(events, requests);
    if (counters.feedFloor > this.#cutEvents) {
      overlay.cut(moreEventsKey(this.#cutEvents, 0), moreEventsKey(counters.feedFloor + 1, 0));
      this.#cutEvents = counters.feedFloor;
    }
    if (floor <= this.#cutRows) return;
    counters.journalFloor = floor;
    for (const key of [eventKey, answerRowKey, blockKey]) overlay.cut(key(this.#cutRows), key(floor));
    this.#cutRows = floor;
  }

  /** Forgets the requests of blocks that have none younger than `beforeMs`. */
  forget(beforeMs: number, nextIndex: number): void {
    const { limits, counters } = this.#needs;
    for (let oldest = this.#withRequests[0]; oldest !== undefined; oldest = this.#withRequests[0]) {
      if (oldest.newestMs >= beforeMs) return;
      this.#withRequests.shift();
      counters.requestCount -= oldest.requests;
      counters.requestBytes -= oldest.requestBytes;
      counters.requestFirst = oldest.first + limits.blockEntries;
      oldest.requests = 0;
    }
    const open = this.#open;
    if (open.requests === 0 || open.newestMs >= beforeMs) return;
    counters.requestCount -= open.requests;
    counters.requestBytes -= open.requestBytes;
    counters.requestFirst = nextIndex;
    open.forgetRequests();
  }

  /** The events of entries up to and with `floor` are gone. */
  compact(floor: number): void {
    const { limits, counters } = this.#needs;
    let gone = 0;
    for (let oldest = this.#withEvents[0]; oldest !== undefined; oldest = this.#withEvents[0]) {
      const end = oldest.first + limits.blockEntries;
      const left = floor + 1 >= end ? 0 : this.#leftOf(oldest, floor);
      gone += oldest.events - left;
      oldest.events = left;
      if (left > 0) break;
      this.#withEvents.shift();
    }
    if (floor >= this.#open.first) {
      const left = this.#countEvents(floor + 1, this.#open.first + limits.blockEntries);
      gone += this.#open.events - left;
      this.#open.events = left;
    }
    counters.feedCount -= gone;
    counters.feedFloor = floor;
    this.#cut();
  }

  #leftOf(block: Block, floor: number): number {
    return floor < block.first
      ? block.events
      : this.#countEvents(floor + 1, block.first + this.#needs.limits.blockEntries);
  }
}

/** What is cut of the journal, in key order. */
export function cutRanges({ journalFloor, feedFloor }: Counters): { from: StateKey; to: StateKey }[] {
  return [
    { from: blockKey(0), to: blockKey(journalFloor) },
    { from: eventKey(0), to: eventKey(journalFloor) },
    { from: moreEventsKey(0, 0), to: moreEventsKey(feedFloor + 1, 0) },
    { from: answerRowKey(0), to: answerRowKey(journalFloor) },
  ];
}

/** The block that is being filled. */
class OpenBlock implements Block {
  readonly first: number;
  events = 0;
  requests = 0;
  requestBytes = 0;
  newestMs = 0;
  #offsets = new Uint32Array(8);
  #heads = new Uint8Array(8 * idHeadBytes);

  constructor(first: number) {
    this.first = first;
  }

  get heads() {
    return { count: this.requests, offsets: this.#offsets, heads: this.#heads };
  }

  summary(): Block {
    const { first, events, requests, requestBytes, newestMs } = this;
    return { first, events, requests, requestBytes, newestMs };
  }

  add(id: Uint8Array, { offset, bytes, clockMs }: { offset: number; bytes: number; clockMs: number }): void {
    if (this.requests === this.#offsets.length) this.#grow();
    this.#offsets[this.requests] = offset;
    const at = this.requests * idHeadBytes;
    for (let i = 0; i < idHeadBytes; i++) this.#heads[at + i] = id[i]!;
    this.requests++;
    this.requestBytes += bytes;
    this.newestMs = Math.max(this.newestMs, clockMs);
  }

  #grow(): void {
    const offsets = new Uint32Array(this.#offsets.length * 2);
    offsets.set(this.#offsets);
    const heads = new Uint8Array(offsets.length * idHeadBytes);
    heads.set(this.#heads);
    this.#offsets = offsets;
    this.#heads = heads;
  }

  forgetRequests(): void {
    this.requests = 0;
    this.requestBytes = 0;
    this.newestMs = 0;
  }
}
