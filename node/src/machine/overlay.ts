import { assert } from "../base/assert.ts";
import { SortedKeys } from "./sorted-keys.ts";
import type { ScanRange, StateKey, StatePair, StateStore, StateWrite } from "./store.ts";

/**
 * Collects the writes of many commands over a store, so that a host turn makes one batch: reads see the collected writes
 * first. A transaction inside it can be undone, which makes a command atomic.
 */
export class Overlay {
  readonly #base: StateStore;
  /** null = deleted here. */
  #writes = new Map<StateKey, Uint8Array | null>();
  /** Keys of #writes in order; made by the first scan after a drain, because most turns never scan. */
  #sorted: SortedKeys | undefined;
  /** A transaction is open: what stood in #writes before each of its writes is kept, undefined = nothing. */
  #open = false;
  readonly #undoKeys: StateKey[] = [];
  readonly #undoValues: (Uint8Array | null | undefined)[] = [];
  #cuts: StateWrite[] = [];

  constructor(base: StateStore) {
    this.#base = base;
  }

  /** Keys written since the last drain. */
  get size(): number {
    return this.#writes.size;
  }

  get(key: StateKey): Uint8Array | undefined {
    const own = this.#writes.get(key);
    return own === undefined ? this.#base.get(key) : (own ?? undefined);
  }

  put(key: StateKey, value: Uint8Array): void {
    this.#set(key, value);
  }

  delete(key: StateKey): void {
    this.#set(key, null);
  }

  /** Removes rows that nobody asks for any more: until the drain they may still be seen. Not undone. */
  cut(from: StateKey, to: StateKey): void {
    this.#cuts.push({ key: from, value: undefined, to });
  }

  #set(key: StateKey, value: Uint8Array | null): void {
    if (this.#open) {
      this.#undoKeys.push(key);
      this.#undoValues.push(this.#writes.get(key));
    }
    this.#writes.set(key, value);
    this.#sorted?.add(key);
  }

  begin(): void {
    assert(!this.#open, "transactions do not nest");
    this.#open = true;
  }

  commit(): void {
    this.#open = false;
    this.#undoKeys.length = 0;
    this.#undoValues.length = 0;
  }

  rollback(): void {
    for (let i = this.#undoKeys.length - 1; i >= 0; i--) {
      const key = this.#undoKeys[i]!;
      const before = this.#undoValues[i];
      if (before !== undefined) this.#writes.set(key, before);
      else {
        this.#writes.delete(key);
        this.#sorted?.delete(key);
      }
    }
    this.commit();
  }

  scan(range: ScanRange): Iterable<StatePair> {
    return this.#writes.size === 0 ? this.#base.scan(range) : this.#merged(range);
  }

  /** Writes must not happen between two steps of the iteration. */
  *#merged(range: ScanRange): Generator<StatePair, void, void> {
    const { from, to, reverse = false } = range;
    let left = range.limit ?? Number.POSITIVE_INFINITY;
    const own = reverse ? this.#keys().rangeReverse(from, to) : this.#keys().range(from, to);
    // Each key written here can hide at most one of the base's.
    const limit = range.limit === undefined ? undefined : range.limit + this.#writes.size;
    const base = this.#base.scan({ from, to, reverse, limit })[Symbol.iterator]();
    try {
      let ownNext = own.next();
      let baseNext = base.next();
      while (left > 0) {
        const ownKey = ownNext.done ? undefined : ownNext.value;
        const basePair = baseNext.done ? undefined : baseNext.value;
        if (ownKey === undefined && basePair === undefined) return;
        const takeOwn =
          basePair === undefined ||
          (ownKey !== undefined && (reverse ? ownKey >= basePair.key : ownKey <= basePair.key));
        if (!takeOwn) {
          left--;
          yield basePair as StatePair;
          baseNext = base.next();
          continue;
        }
        if (basePair?.key === ownKey) baseNext = base.next();
        const value = this.#writes.get(ownKey as StateKey);
        if (value) {
          left--;
          yield { key: ownKey as StateKey, value };
        }
        ownNext = own.next();
      }
    } finally {
      base.return?.();
    }
  }

  #keys(): SortedKeys {
    if (!this.#sorted) {
      this.#sorted = new SortedKeys();
      for (const key of this.#writes.keys()) this.#sorted.add(key);
    }
    return this.#sorted;
  }

  /**
   * Everything collected, and forgets it: the caller writes it to the base before the next read. Keys of one table follow
   * each other, since a store takes neighbours more cheaply.
   */
  drain(): StateWrite[] {
    assert(!this.#open, "nothing is drained inside a transaction");
    const tables: StateWrite[][] = [];
    this.#writes.forEach((value, key) => {
      const table = key.charCodeAt(0);
      tables[table] ??= [];
      tables[table].push({ key, value: value ?? undefined });
    });
    const out = tables.flat();
    for (const cut of this.#cuts) out.push(cut);
    this.#writes = new Map();
    this.#cuts = [];
    this.#sorted = undefined;
    return out;
  }
}
