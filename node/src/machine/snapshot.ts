import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import { decodeCounters } from "./counters.ts";
import { cutRanges } from "./journal.ts";
import { binaryBytes, bytesOfBinary, countersKey } from "./keys.ts";
import type { StatePair, StateStore, StateWrite } from "./store.ts";

/** Bytes after which a piece is handed over; one large value may make it longer. */
const pieceBytes = 256 * 1024;
const format = 2;
/** Pairs a batch of a restore. */
const batchPairs = 1024;

/**
 * The whole state at the time of the call, in key order, in pieces that each hold whole pairs. The same state gives the
 * same bytes, whichever replica makes them; the caller adds the digest. Drain the machine first.
 */
export function snapshot(store: StateStore): Iterable<Uint8Array> {
  return pieces(livePairs(store));
}

/** Rows whose cut a crash prevented are left out: another replica does not have them. */
function* livePairs(store: StateStore): Generator<StatePair, void, void> {
  const counters = store.get(countersKey);
  const cut = counters === undefined ? [] : cutRanges(decodeCounters(counters));
  let at = 0;
  for (const pair of store.scan({ from: "" })) {
    while (at < cut.length && pair.key >= cut[at]!.to) at++;
    if (at === cut.length || pair.key < cut[at]!.from) yield pair;
  }
}

function* pieces(pairs: Iterable<StatePair>): Generator<Uint8Array, void, void> {
  const writer = new ByteWriter().byte(format);
  let size = 0;
  for (const { key, value } of pairs) {
    writer.bytes(bytesOfBinary(key)).bytes(value);
    size += key.length + value.length;
    if (size < pieceBytes) continue;
    yield writer.finish();
    writer.reset();
    size = 0;
  }
  const rest = writer.finish();
  if (rest.length > 0) yield rest;
}

/** Fills an empty store from the pieces of a snapshot, cut as `snapshot` cut them and checked by the caller's digest. */
export function restore(store: StateStore, pieces: Iterable<Uint8Array>): void {
  const filler = new SnapshotFiller(store);
  for (const piece of pieces) filler.add(piece);
  filler.finish();
}

/** A restore that takes pieces as they come. */
export class SnapshotFiller {
  readonly #store: StateStore;
  #started = false;
  #batch: StateWrite[] = [];

  constructor(store: StateStore) {
    this.#store = store;
  }

  add(piece: Uint8Array): void {
    const reader = new ByteReader(piece);
    if (!this.#started) {
      const found = reader.byte();
      assert(found === format, `the snapshot is of format ${format} (${found} came)`);
      this.#started = true;
    }
    while (!reader.done) {
      const key = binaryBytes(reader.bytes());
      this.#batch.push({ key, value: reader.bytes().slice() });
      if (this.#batch.length >= batchPairs) this.#write();
    }
  }

  finish(): void {
    assert(this.#started, "a snapshot has at least its format byte");
    this.#write();
  }

  #write(): void {
    this.#store.write(this.#batch);
    this.#batch = [];
  }
}
