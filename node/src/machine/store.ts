// The state machine's window on durable state: sorted keys, synchronous. Adapters live in `storage` (RocksDB) and in
// memory-store.ts. Synchronous, because apply is: an await between two reads of one command would let another in.

/**
 * A key as a binary string: one character a byte, each below 256 (Buffer's "latin1"). Strings because maps, caches and
 * overlays need hashing, which byte arrays lack; `<` on such strings is the order of the bytes.
 */
export type StateKey = string;

export interface StateWrite {
  key: StateKey;
  /** undefined deletes. */
  value: Uint8Array | undefined;
  /**
   * A cut, when set: all keys from `key` up to, not including, this one are deleted, after all other writes of the batch.
   * A crash of the process may come between: cut rows must not matter any more.
   */
  to?: StateKey;
}

export interface StatePair {
  key: StateKey;
  value: Uint8Array;
}

export interface ScanRange {
  /** Inclusive. */
  from: StateKey;
  /** Exclusive; undefined = to the end. */
  to?: StateKey;
  /** Pairs at most. */
  limit?: number;
  /** From the end of the range to its start. */
  reverse?: boolean;
}

/** Contract: bytes that crossed the port, either way, are never changed by either side. */
export interface StateStore {
  get(key: StateKey): Uint8Array | undefined;
  /** Pairs in key order, as they were when `scan` was called, whatever is written meanwhile. */
  scan(range: ScanRange): Iterable<StatePair>;
  /** All of it or nothing, visible at once; a later write of the same key in the list wins. */
  write(batch: readonly StateWrite[]): void;
}
