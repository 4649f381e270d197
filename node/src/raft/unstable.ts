import { InvariantError } from "../base/assert.ts";
import { limitedSlice } from "./sizes.ts";
import type { Entry, EntryId, Logger, Snapshot } from "./types.ts";

/**
 * The tail of the log, and a snapshot received, that are not yet known to be durable. They are handed out for writing
 * once, stay here while the write runs (so that the log reads as if it were done), and are dropped when it is.
 */
export class Unstable {
  /** A snapshot that came in and is not yet durable. */
  snapshot: Snapshot | undefined;
  snapshotInProgress = false;
  /** entries[i] is log entry offset + i. */
  entries: Entry[] = [];
  /** May be below the end of storage: then the next write truncates there. */
  offset: number;
  /** Entries below this are being written. Invariant: offset <= offsetInProgress <= offset + entries.length. */
  offsetInProgress: number;
  readonly #logger: Logger;

  constructor(offset: number, logger: Logger) {
    this.offset = offset;
    this.offsetInProgress = offset;
    this.#logger = logger;
  }

  /** Index of the last entry or of the snapshot; undefined when there is neither. */
  lastIndex(): number | undefined {
    return this.entries.length > 0 ? this.offset + this.entries.length - 1 : this.snapshot?.index;
  }

  term(index: number): number | undefined {
    return this.#at(index)?.term;
  }

  epoch(index: number): number | undefined {
    return this.#at(index)?.epoch;
  }

  hasNextEntries(): boolean {
    return this.offset + this.entries.length > this.offsetInProgress;
  }

  /** Entries that nobody was asked to write yet. */
  nextEntries(): Entry[] {
    return this.hasNextEntries() ? this.entries.slice(this.offsetInProgress - this.offset) : [];
  }

  nextSnapshot(): Snapshot | undefined {
    return this.snapshotInProgress ? undefined : this.snapshot;
  }

  /** What is here now is being written. */
  acceptInProgress(): void {
    this.offsetInProgress = this.offset + this.entries.length;
    if (this.snapshot !== undefined) this.snapshotInProgress = true;
  }

  /** Entries up to `id` are durable, and no write in progress will replace them. */
  stableTo(id: EntryId): void {
    const term = this.term(id.index);
    if (term === undefined) {
      this.#logger.info?.(`entry at index ${id.index} missing from unstable log; ignoring`);
      return;
    }
    if (id.index < this.offset) {
      this.#logger.info?.(`entry at index ${id.index} matched unstable snapshot; ignoring`);
      return;
    }
    if (term !== id.term) {
      this.#logger.info?.(
        `entry at (index,term)=(${id.index},${id.term}) mismatched with ` +
          `entry at (${id.index},${term}) in unstable log; ignoring`,
      );
      return;
    }
    const durable = id.index + 1 - this.offset;
    this.entries = durable === this.entries.length ? [] : this.entries.slice(durable);
    this.offset = id.index + 1;
    this.offsetInProgress = Math.max(this.offsetInProgress, this.offset);
  }

  stableSnapshotTo(index: number): void {
    if (this.snapshot?.index !== index) return;
    this.snapshot = undefined;
    this.snapshotInProgress = false;
  }

  restore(snapshot: Snapshot): void {
    this.offset = snapshot.index + 1;
    this.offsetInProgress = this.offset;
    this.entries = [];
    this.snapshot = snapshot;
    this.snapshotInProgress = false;
  }

  /** Appends `entries`, replacing whatever stood at their indexes and after. */
  truncateAndAppend(entries: readonly Entry[]): void {
    const from = (entries[0] as Entry).index;
    if (from <= this.offset && from !== this.offset + this.entries.length) {
      this.#logger.info?.(`replace the unstable entries from index ${from}`);
      this.entries = [...entries];
      this.offset = from;
      this.offsetInProgress = from;
      return;
    }
    if (from < this.offset + this.entries.length) {
      this.#logger.info?.(`truncate the unstable entries before index ${from}`);
      this.entries.length = from - this.offset;
      this.offsetInProgress = Math.min(this.offsetInProgress, from);
    }
    for (const entry of entries) this.entries.push(entry);
  }

  /** Entries lo..hi-1, all of which must be here, as far as they fit `bytesMax`, but at least one. */
  slice(lo: number, hi: number, bytesMax: number): Entry[] {
    if (lo < this.offset || hi > this.offset + this.entries.length) {
      throw new InvariantError(`entries ${lo}..${hi} are outside the unstable tail at ${this.offset}`);
    }
    return limitedSlice(this.entries, { from: lo - this.offset, until: hi - this.offset }, bytesMax);
  }

  #at(index: number): { readonly term: number; readonly epoch: number } | undefined {
    if (index >= this.offset) return this.entries[index - this.offset];
    return this.snapshot?.index === index ? this.snapshot : undefined;
  }
}
