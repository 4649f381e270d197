import { assert } from "../base/assert.ts";
import type { Effect } from "./api.ts";
import { type Counters, decodeCounters, encodeCounters, newCounters } from "./counters.ts";
import { type Entry, encodeEntry, rowWith } from "./entry.ts";
import { type EventKind, encodeEvent } from "./event.ts";
import { Journal } from "./journal.ts";
import type { RequestPart } from "./journal-rows.ts";
import { countersKey, moreEventsKey, ownershipKey, policyKey } from "./keys.ts";
import type { MachineLimits } from "./limits.ts";
import { Overlay } from "./overlay.ts";
import { decodeOwnership, nothingOwned, OwnedPaths } from "./ownership.ts";
import { decodePolicy, firstPolicy, type StoredPolicy } from "./policy.ts";
import type { StateStore, StateWrite } from "./store.ts";

/** Where a directory's entries lie. */
export interface DirectoryRef {
  id: number;
  /** Start of its entries' keys. */
  prefix: string;
}

/**
 * What the parts of the machine share: the overlay, the numbers, and the command being applied. Everything here is
 * either stored, derived from what is stored, or a cache that answers as the store would.
 */
export class MachineState {
  readonly overlay: Overlay;
  readonly limits: MachineLimits;
  readonly generation: number;
  counters: Counters;
  owned: OwnedPaths;
  policy: StoredPolicy;
  /** Path -> directory. Dropped whole when a directory moves or goes. */
  readonly directories = new Map<string, DirectoryRef>();

  /** Read when the first command comes: a machine that is only read needs none. */
  #journal: Journal | undefined;

  // The command being applied.
  index = 0;
  logTimeMs = 0;
  effects: Effect[] = [];
  #ordinal = 0;
  /** The command's first event, and what it says of which path: an answer that says the same is not stored twice. */
  firstEvent: { path: string; entry: Uint8Array | undefined; encoded: Uint8Array } | undefined;
  /** Entries made or removed beside the named ones. Bounded by commandEntriesMax. */
  touched = 0;
  #drainedIndex: number;
  #before: { counters: Counters; owned: OwnedPaths; policy: StoredPolicy } | undefined;

  constructor(store: StateStore, options: { generation: number; limits: MachineLimits }) {
    this.overlay = new Overlay(store);
    this.generation = options.generation;
    this.limits = options.limits;
    const counters = store.get(countersKey);
    this.counters = counters ? decodeCounters(counters) : newCounters();
    this.#drainedIndex = this.counters.appliedIndex;
    const ownership = store.get(ownershipKey);
    this.owned = new OwnedPaths(ownership ? decodeOwnership(ownership) : nothingOwned);
    const policy = store.get(policyKey);
    this.policy = policy ? decodePolicy(policy) : firstPolicy;
  }

  get journal(): Journal {
    this.#journal ??= new Journal(this);
    return this.#journal;
  }

  begin(index: number, logTimeMs: number): void {
    this.index = index;
    this.logTimeMs = logTimeMs;
    this.effects = [];
    this.#forgetEvents();
    this.touched = 0;
    this.#before = { counters: { ...this.counters }, owned: this.owned, policy: this.policy };
    this.overlay.begin();
  }

  commit(): void {
    this.overlay.commit();
    this.#before = undefined;
    if (this.#ordinal > 0) this.effects.push({ kind: "events", count: this.#ordinal });
  }

  /** As if the command had not come. */
  rollback(): void {
    this.overlay.rollback();
    if (this.#before) {
      this.counters = this.#before.counters;
      this.owned = this.#before.owned;
      this.policy = this.#before.policy;
      this.#before = undefined;
    }
    this.directories.clear();
    this.effects = [];
    this.#forgetEvents();
  }

  #forgetEvents(): void {
    this.#ordinal = 0;
    this.firstEvent = undefined;
  }

  /** What the command leaves in the journal, once it is known. */
  record(request: RequestPart | undefined): void {
    if (this.#ordinal === 0 && request === undefined) return;
    const clockMs = this.counters.requestClockMs;
    this.journal.record(this.index, { clockMs, event: this.firstEvent?.encoded, events: this.#ordinal, request });
  }

  /** Nothing when no entry was applied since the last drain. */
  drain(): StateWrite[] {
    if (this.counters.appliedIndex === this.#drainedIndex) return [];
    this.#drainedIndex = this.counters.appliedIndex;
    this.overlay.put(countersKey, encodeCounters(this.counters));
    return this.overlay.drain();
  }

  /** Stores an entry, with its content when that lies beside it. Returns the entry as events and answers have it. */
  putEntry(key: string, entry: Entry, content?: Uint8Array): Uint8Array {
    const bytes = encodeEntry(entry);
    assert(entry.beside === (content !== undefined), "an entry and its row agree on where the content is");
    this.overlay.put(key, content === undefined ? bytes : rowWith(bytes, content));
    return bytes;
  }

  /** Appends to the change feed. `entry`: the stored bytes of what now stands (or stood) at `path`. */
  emit(kind: EventKind, path: string, entry: Uint8Array | undefined, fromPath = ""): void {
    const encoded = encodeEvent({ kind, path, fromPath, logTimeMs: this.logTimeMs, entry });
    if (this.#ordinal > 0) this.overlay.put(moreEventsKey(this.index, this.#ordinal), encoded);
    else this.firstEvent = { path, entry, encoded };
    this.#ordinal++;
  }
}
