import type { SyncIterator } from "@nxtedition/rocksdb";
import { assert } from "../base/assert.ts";
import type { ScanRange, StateKey, StatePair } from "../machine/store.ts";
import type { FrozenStore } from "./durable-store.ts";

/** Rows of a scan that are read at once. */
const pageRows = 256;

export interface FrozenRowsNeeds {
  iterator: SyncIterator;
  close(): void;
  bytesOf(key: StateKey): Buffer;
  /** Checks and decodes rows. */
  pairs(rows: readonly Buffer[]): StatePair[];
}

/** A moment of RocksDB, held by one iterator (an iterator sees what stood when it was made). Forward scans only. */
export class FrozenRows implements FrozenStore {
  readonly #needs: FrozenRowsNeeds;
  #closed = false;

  constructor(needs: FrozenRowsNeeds) {
    this.#needs = needs;
  }

  get(key: StateKey): Uint8Array | undefined {
    const [first] = this.#page(key, 1);
    return first?.key === key ? first.value : undefined;
  }

  getIn(prefix: StateKey, key: StateKey): Uint8Array | undefined {
    return this.get(prefix + key);
  }

  *scan(range: ScanRange): Generator<StatePair, void, void> {
    assert(range.reverse !== true, "a frozen state is scanned forwards");
    let left = range.limit ?? Number.POSITIVE_INFINITY;
    let from = range.from;
    // Every page seeks anew: other reads may have moved the iterator between two of them.
    while (left > 0) {
      const rows = Math.min(left, pageRows);
      const page = this.#page(from, rows);
      for (const pair of page) {
        if (range.to !== undefined && pair.key >= range.to) return;
        left--;
        yield pair;
      }
      const last = page.at(-1);
      if (last === undefined || page.length < rows) return;
      from = `${last.key}\u0000`;
    }
  }

  #page(from: StateKey, rows: number): StatePair[] {
    assert(!this.#closed, "a frozen state is read before it is closed");
    const { iterator, bytesOf, pairs } = this.#needs;
    iterator._seekSync(bytesOf(from));
    return pairs(iterator._nextvSync(rows).rows);
  }

  write(): void {
    assert(false, "a frozen state is not written");
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#needs.close();
  }
}
