import { InvariantError } from "../base/assert.ts";
import { limitedSlice } from "./sizes.ts";
import type { Storage } from "./storage.ts";
import {
  type ConfState,
  EMPTY_SNAPSHOT,
  type Entry,
  type HardState,
  isEmptyHardState,
  type Snapshot,
} from "./types.ts";

/** The storage port kept in memory: for tests, for the simulator, and as the cache in front of a durable log. */
export class MemoryStorage implements Storage {
  #hardState: HardState | undefined;
  #snapshot: Snapshot = EMPTY_SNAPSHOT;
  /** Index, term and epoch of the entry before the first. */
  #base = { index: 0, term: 0, epoch: 0 };
  #entries: Entry[] = [];

  initialState(): { hardState: HardState | undefined; confState: ConfState } {
    return { hardState: this.#hardState, confState: this.#snapshot.confState };
  }

  setHardState(state: HardState): void {
    if (!isEmptyHardState(state)) this.#hardState = state;
  }

  entries(lo: number, hi: number, bytesMax: number): readonly Entry[] | "compacted" {
    const first = this.firstIndex();
    if (lo < first) return "compacted";
    if (hi > this.lastIndex() + 1) throw new InvariantError(`entries up to ${hi - 1} are beyond ${this.lastIndex()}`);
    return limitedSlice(this.#entries, { from: lo - first, until: hi - first }, bytesMax);
  }

  term(index: number): number | undefined {
    return this.#at(index)?.term;
  }

  epoch(index: number): number | undefined {
    return this.#at(index)?.epoch;
  }

  firstIndex(): number {
    return this.#base.index + 1;
  }

  lastIndex(): number {
    return this.#base.index + this.#entries.length;
  }

  snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Replaces everything; "outdated" when what is there is at least as new. */
  applySnapshot(snapshot: Snapshot): "outdated" | undefined {
    if (this.#snapshot.index !== 0 && this.#snapshot.index >= snapshot.index) return "outdated";
    this.#snapshot = snapshot;
    this.#base = { index: snapshot.index, term: snapshot.term, epoch: snapshot.epoch };
    this.#entries = [];
    return undefined;
  }

  /** Records the state machine's state at `index`; the log stays as it is until `compact`. */
  createSnapshot(index: number, confState: ConfState, data: Uint8Array): Snapshot | "outdated" {
    if (index <= this.#snapshot.index) return "outdated";
    const entry = this.#at(index);
    if (entry === undefined) throw new InvariantError(`snapshot at ${index} is beyond the log's ${this.lastIndex()}`);
    this.#snapshot = { index, term: entry.term, epoch: entry.epoch, confState, data };
    return this.#snapshot;
  }

  /** Drops entries up to and including `index`, which must be applied; "compacted" when they are gone already. */
  compact(index: number): "compacted" | undefined {
    if (index <= this.#base.index) return "compacted";
    const entry = this.#at(index);
    if (entry === undefined) throw new InvariantError(`compaction at ${index} is beyond the log's ${this.lastIndex()}`);
    this.#entries = this.#entries.slice(index - this.#base.index);
    this.#base = { index, term: entry.term, epoch: entry.epoch };
    return undefined;
  }

  /** Appends entries in place of whatever stood at their indexes and after. */
  append(entries: readonly Entry[]): void {
    const head = entries[0];
    if (head === undefined) return;
    const first = this.firstIndex();
    const skipped = Math.max(0, first - head.index);
    if (skipped >= entries.length) return;
    const keep = head.index + skipped - first;
    if (keep > this.#entries.length) {
      throw new InvariantError(`missing log entries between ${this.lastIndex()} and ${head.index}`);
    }
    this.#entries.length = keep;
    for (let i = skipped; i < entries.length; i++) this.#entries.push(entries[i] as Entry);
  }

  #at(index: number): { readonly term: number; readonly epoch: number } | undefined {
    return index === this.#base.index ? this.#base : this.#entries[index - this.#base.index - 1];
  }
}
