import { InvariantError } from "../base/assert.ts";
import { entriesSize } from "./sizes.ts";
import type { Storage } from "./storage.ts";
import type { Entry, EntryId, Logger, Snapshot } from "./types.ts";
import { Unstable } from "./unstable.ts";

/** The replicated log as the state machine sees it: what storage holds, overlaid with the unstable tail. */
export class RaftLog {
  readonly storage: Storage;
  readonly unstable: Unstable;
  /** Highest index known to be on a quorum. */
  committed: number;
  /** Highest index handed out for applying. Invariant: applied <= applying <= committed. */
  applying: number;
  /** Highest index the state machine has applied. */
  applied: number;
  /** Limit on the bytes handed out and not yet applied; soft by one entry. */
  readonly applyingBytesMax: number;
  #applyingBytes = 0;
  #applyingPaused = false;
  readonly #logger: Logger;

  constructor(storage: Storage, applyingBytesMax: number, logger: Logger) {
    this.storage = storage;
    this.unstable = new Unstable(storage.lastIndex() + 1, logger);
    this.committed = storage.firstIndex() - 1;
    this.applying = this.committed;
    this.applied = this.committed;
    this.applyingBytesMax = applyingBytesMax;
    this.#logger = logger;
  }

  firstIndex(): number {
    const snapshot = this.unstable.snapshot;
    return snapshot === undefined ? this.storage.firstIndex() : snapshot.index + 1;
  }

  lastIndex(): number {
    return this.unstable.lastIndex() ?? this.storage.lastIndex();
  }

  /** Term of entry `index`; undefined when it is compacted or not yet there. */
  term(index: number): number | undefined {
    return this.unstable.term(index) ?? (this.#inStorage(index) ? this.storage.term(index) : undefined);
  }

  epoch(index: number): number | undefined {
    return this.unstable.epoch(index) ?? (this.#inStorage(index) ? this.storage.epoch(index) : undefined);
  }

  lastEntryId(): EntryId {
    const index = this.lastIndex();
    const term = this.term(index);
    if (term === undefined) throw new InvariantError(`the last entry ${index} has no term`);
    return { term, index };
  }

  matchTerm(id: EntryId): boolean {
    return this.term(id.index) === id.term;
  }

  /** True when a log that ends with `their` holds everything committed that this one may hold. */
  isUpToDate(their: EntryId): boolean {
    const our = this.lastEntryId();
    return their.term > our.term || (their.term === our.term && their.index >= our.index);
  }

  /** A follower's append: the index of the last entry now known to match, or undefined when `previous` does not. */
  maybeAppend(previous: EntryId, entries: readonly Entry[], committed: number): number | undefined {
    if (!this.matchTerm(previous)) return undefined;
    const conflict = this.#findConflict(entries);
    if (conflict !== 0) {
      if (conflict <= this.committed) {
        throw new InvariantError(`entry ${conflict} conflicts with a committed entry (committed ${this.committed})`);
      }
      this.append(entries.slice(conflict - (previous.index + 1)));
    }
    const last = previous.index + entries.length;
    this.commitTo(Math.min(committed, last));
    return last;
  }

  append(entries: readonly Entry[]): number {
    const first = entries[0];
    if (first === undefined) return this.lastIndex();
    if (first.index - 1 < this.committed) {
      throw new InvariantError(`appending at ${first.index} would replace committed entries up to ${this.committed}`);
    }
    this.unstable.truncateAndAppend(entries);
    return this.lastIndex();
  }

  /** Entries from `index` on as far as they fit `bytesMax`, but at least one; none when `index` is past the end. */
  entriesFrom(index: number, bytesMax: number): readonly Entry[] | "compacted" {
    const last = this.lastIndex();
    return index > last ? [] : this.slice(index, last + 1, bytesMax);
  }

  /** Entries lo..hi-1, cut after the last that fits `bytesMax`, but at least one. */
  slice(lo: number, hi: number, bytesMax: number): readonly Entry[] | "compacted" {
    if (lo < this.firstIndex()) return "compacted";
    if (lo > hi || hi > this.lastIndex() + 1) {
      throw new InvariantError(`slice ${lo}..${hi} is outside the log's ${this.firstIndex()}..${this.lastIndex()}`);
    }
    if (lo === hi) return [];
    const offset = this.unstable.offset;
    if (lo >= offset) return this.unstable.slice(lo, hi, bytesMax);
    const cut = Math.min(hi, offset);
    const stored = this.storage.entries(lo, cut, bytesMax);
    if (stored === "compacted" || hi <= offset || stored.length < cut - lo) return stored;
    const size = entriesSize(stored);
    if (size >= bytesMax) return stored;
    const tail = this.unstable.slice(offset, hi, bytesMax - size);
    return tail.length === 1 && size + entriesSize(tail) > bytesMax ? stored : stored.concat(tail);
  }

  /**
   * The largest index <= `index` whose term is <= `term` or unknown, with that term (0 when unknown): the best guess
   * where this log parts from one of which only entry (`index`, `term`) is known.
   */
  findConflictByTerm(index: number, term: number): EntryId {
    for (let at = index; at > 0; at--) {
      const ours = this.term(at);
      if (ours === undefined) return { index: at, term: 0 };
      if (ours <= term) return { index: at, term: ours };
    }
    return { index: 0, term: 0 };
  }

  commitTo(index: number): void {
    if (index <= this.committed) return;
    if (this.lastIndex() < index) {
      throw new InvariantError(`commit ${index} is beyond the log's end ${this.lastIndex()}: was the log damaged?`);
    }
    this.committed = index;
  }

  /** Commits up to `id` if that is an entry of the log, i.e. of the leader's own term, and new. */
  maybeCommit(id: EntryId): boolean {
    if (id.term === 0 || id.index <= this.committed || !this.matchTerm(id)) return false;
    this.commitTo(id.index);
    return true;
  }

  hasSnapshot(): boolean {
    return this.unstable.snapshot !== undefined;
  }

  snapshot(): Snapshot | "unavailable" {
    return this.unstable.snapshot ?? this.storage.snapshot();
  }

  restore(snapshot: Snapshot): void {
    this.#logger.info?.(`log [${this}] starts to restore snapshot [index: ${snapshot.index}, term: ${snapshot.term}]`);
    this.committed = snapshot.index;
    this.unstable.restore(snapshot);
  }

  hasNextCommitted(allowUnstable: boolean): boolean {
    return !this.#applyingPaused && !this.hasSnapshot() && this.applying < this.#appliableIndex(allowUnstable);
  }

  /** Committed entries to apply next; with `allowUnstable` those too that are not durable here. */
  nextCommitted(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return [];
    const room = this.applyingBytesMax - this.#applyingBytes;
    if (room <= 0) throw new InvariantError("entries are handed out for applying although the limit is reached");
    const entries = this.slice(this.applying + 1, this.#appliableIndex(allowUnstable) + 1, room);
    if (entries === "compacted") throw new InvariantError(`entry ${this.applying + 1} is compacted but not applied`);
    return entries;
  }

  /** Entries up to `index`, weighing `bytes`, were handed out. Pauses when the limit is reached or cut something off. */
  acceptApplying(index: number, bytes: number, allowUnstable: boolean): void {
    if (index > this.committed) throw new InvariantError(`applying ${index} beyond commit ${this.committed}`);
    this.applying = index;
    this.#applyingBytes += bytes;
    this.#applyingPaused = this.#applyingBytes >= this.applyingBytesMax || index < this.#appliableIndex(allowUnstable);
  }

  appliedTo(index: number, bytes: number): void {
    if (index > this.committed || index < this.applied) {
      throw new InvariantError(`applied ${index} is outside ${this.applied}..${this.committed}`);
    }
    this.applied = index;
    this.applying = Math.max(this.applying, index);
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);
    this.#applyingPaused = this.#applyingBytes >= this.applyingBytesMax;
  }

  toString(): string {
    const { offset, offsetInProgress, entries } = this.unstable;
    return (
      `committed=${this.committed}, applied=${this.applied}, applying=${this.applying}, unstable.offset=${offset}, ` +
      `unstable.offsetInProgress=${offsetInProgress}, len(unstable.Entries)=${entries.length}`
    );
  }

  #appliableIndex(allowUnstable: boolean): number {
    return allowUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1);
  }

  #inStorage(index: number): boolean {
    return index + 1 >= this.firstIndex() && index <= this.lastIndex();
  }

  /** Index of the first entry that is not in the log as given, be it new or different; 0 when all are there. */
  #findConflict(entries: readonly Entry[]): number {
    for (const { index, term } of entries) {
      const ours = this.term(index);
      if (ours === term) continue;
      if (index <= this.lastIndex()) {
        this.#logger.info?.(
          `found conflict at index ${index} [existing term: ${ours ?? 0}, conflicting term: ${term}]`,
        );
      }
      return index;
    }
    return 0;
  }
}
