import type { ConfState, Entry, HardState, Snapshot } from "./types.ts";

/**
 * What the core reads back of what it had written. Every method answers at once: an adapter keeps in memory whatever
 * part of the log replication may still ask for.
 */
export interface Storage {
  /** The hard state last written, or undefined on a first start, and the membership of the last applied entry. */
  initialState(): { readonly hardState: HardState | undefined; readonly confState: ConfState };
  /**
   * Entries lo..hi-1, cut after the last that fits `bytesMax` but never empty; "compacted" when `lo` is no longer there.
   * Requires lo < hi <= lastIndex() + 1.
   */
  entries(lo: number, hi: number, bytesMax: number): readonly Entry[] | "compacted";
  /** Term of entry `index`; undefined outside firstIndex()-1 .. lastIndex(). */
  term(index: number): number | undefined;
  /** Epoch of entry `index`; undefined outside firstIndex()-1 .. lastIndex(). */
  epoch(index: number): number | undefined;
  /** The first entry that is still there; the term and epoch of the one before it are known too. */
  firstIndex(): number;
  /** The last entry, or the snapshot's index when there is none. */
  lastIndex(): number;
  /** The newest snapshot, or "unavailable" when one is being made. */
  snapshot(): Snapshot | "unavailable";
}
