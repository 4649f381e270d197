import { noBytes } from "../base/bytes.ts";
import { MemoryStorage } from "../raft/memory-storage.ts";
import type { Storage } from "../raft/storage.ts";
import type { ConfState, Entry, HardState, Snapshot } from "../raft/types.ts";

/** Memory that entries may keep alive, as a multiple of their data. */
const shareMax = 1.5;

/** What a snapshot made now would cover. */
export interface SnapshotPoint {
  index: number;
  term: number;
  epoch: number;
  confState: ConfState;
}

/**
 * What the core reads back: the log's durable entries, kept in memory, and snapshots that exist only as the applied
 * state, which is read out when one is really sent.
 */
export class ReplicaStorage implements Storage {
  readonly #memory = new MemoryStorage();
  readonly #conf: ConfState;
  /** The applied position; "unavailable" while no snapshot may be started. */
  readonly #point: () => SnapshotPoint | "unavailable";
  /** Bytes of the entries' data. */
  dataBytes = 0;

  constructor(conf: ConfState, point: () => SnapshotPoint | "unavailable") {
    this.#conf = conf;
    this.#point = point;
  }

  /** The log begins after this entry. */
  startAt(index: number, term: number, epoch: number): void {
    this.#memory.applySnapshot({ index, term, epoch, confState: this.#conf, data: noBytes });
  }

  setHardState(state: HardState): void {
    this.#memory.setHardState(state);
  }

  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const last = this.#memory.lastIndex();
    if (first.index <= last) this.dataBytes -= this.#bytesBetween(first.index, last);
    let bytes = 0;
    for (const entry of entries) bytes += entry.data.length;
    this.dataBytes += bytes;
    this.#memory.append(withOwnBytes(entries, bytes));
  }

  /** Takes the place of the whole log: a snapshot was received. */
  replace(snapshot: Snapshot): void {
    if (this.#memory.applySnapshot(snapshot) === undefined) this.dataBytes = 0;
  }

  /** Drops entries up to and with `index`. */
  compact(index: number): void {
    const first = this.firstIndex();
    const bytes = index < first ? 0 : this.#bytesBetween(first, index);
    if (this.#memory.compact(index) === undefined) this.dataBytes -= bytes;
  }

  initialState(): { hardState: HardState | undefined; confState: ConfState } {
    return { hardState: this.#memory.initialState().hardState, confState: this.#conf };
  }

  entries(lo: number, hi: number, bytesMax: number): readonly Entry[] | "compacted" {
    return this.#memory.entries(lo, hi, bytesMax);
  }

  term(index: number): number | undefined {
    return this.#memory.term(index);
  }

  epoch(index: number): number | undefined {
    return this.#memory.epoch(index);
  }

  firstIndex(): number {
    return this.#memory.firstIndex();
  }

  lastIndex(): number {
    return this.#memory.lastIndex();
  }

  snapshot(): Snapshot | "unavailable" {
    const point = this.#point();
    return point === "unavailable" ? point : { ...point, data: noBytes };
  }

  #bytesBetween(first: number, last: number): number {
    const from = Math.max(first, this.firstIndex());
    if (from > last) return 0;
    const entries = this.#memory.entries(from, last + 1, Number.MAX_SAFE_INTEGER);
    let bytes = 0;
    if (entries !== "compacted") for (const entry of entries) bytes += entry.data.length;
    return bytes;
  }
}

/**
 * The entries with their data (`bytes` together) in memory of their own. As views they would keep alive, for as long as
 * the log keeps them, the frames they came in or the pool that they share with everything else of that moment.
 */
function withOwnBytes(entries: readonly Entry[], bytes: number): readonly Entry[] {
  const shared = entries[0]?.data.buffer;
  const isOwn = shared !== undefined && shared.byteLength <= bytes * shareMax;
  if (isOwn && entries.every((entry) => entry.data.buffer === shared)) return entries;
  const own = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  return entries.map(({ index, term, epoch, type, data: view }) => {
    const data = own.subarray(at, at + view.length);
    data.set(view);
    at += view.length;
    return { index, term, epoch, type, data };
  });
}
