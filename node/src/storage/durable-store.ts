import { assert } from "../base/assert.ts";
import type { Random } from "../base/clock.ts";
import { MemoryStateStore } from "../machine/memory-store.ts";
import type { ScanRange, StateKey, StatePair, StateStore, StateWrite } from "../machine/store.ts";

/** Writes below one prefix. */
export interface WritePart {
  prefix: StateKey;
  writes: readonly StateWrite[];
}

/** Reads below a prefix; as `get(prefix + key)`, without making that key where possible. */
export interface PrefixedReads {
  getIn(prefix: StateKey, key: StateKey): Uint8Array | undefined;
}

/** A StateStore whose writes outlive the process at once, and a power cut after `flush`. */
export interface DurableStore extends StateStore, PrefixedReads {
  /** All parts as one batch. */
  writeAll(parts: readonly WritePart[]): void;
  /** The keys alone; unlike a scan it does not stumble over a damaged value. */
  keys(range: ScanRange): StateKey[];
  /** Deletes all keys from `from` up to, not including, `to`. */
  deleteRange(from: StateKey, to: StateKey): void;
  /** The range as it is now, for reads spread over time, whatever is written meanwhile. To be closed. */
  freeze(range: { from: StateKey; to: StateKey }): FrozenStore;
  /** Resolves when everything written before the call is durable. */
  flush(): Promise<void>;
  /** Errors met in the background; above 0 nothing can be trusted to be written any more. */
  readonly backgroundErrors: number;
  close(): Promise<void>;
}

/** Reads of one moment; a write is a fault. */
export interface FrozenStore extends StateStore, PrefixedReads {
  /** Gives back what holds the moment. Idempotent. */
  close(): void;
}

/** The same write with its keys below `prefix`. */
export function prefixed(prefix: StateKey, { key, value, to }: StateWrite): StateWrite {
  return to === undefined ? { key: prefix + key, value } : { key: prefix + key, value, to: prefix + to };
}

/** For tests and the simulator: a crash keeps what was flushed and any number of whole batches after it, in order. */
export class MemoryDurableStore implements DurableStore {
  backgroundErrors = 0;
  readonly #now: MemoryStateStore;
  readonly #flushed: MemoryStateStore;
  #unflushed: (readonly StateWrite[])[] = [];
  readonly #schedule: (done: () => void) => void;

  /** `schedule` completes a flush when it likes; default the next microtask. */
  constructor(schedule: (done: () => void) => void = queueMicrotask, content: readonly StateWrite[] = []) {
    this.#schedule = schedule;
    this.#now = new MemoryStateStore();
    this.#flushed = new MemoryStateStore();
    this.#now.write(content);
    this.#flushed.write(content);
  }

  get(key: StateKey): Uint8Array | undefined {
    return this.#now.get(key);
  }
  getIn(prefix: StateKey, key: StateKey): Uint8Array | undefined {
    return this.get(prefix + key);
  }
  scan(range: ScanRange): Iterable<StatePair> {
    return this.#now.scan(range);
  }
  keys(range: ScanRange): StateKey[] {
    return Array.from(this.#now.scan(range), (pair) => pair.key);
  }
  write(batch: readonly StateWrite[]): void {
    this.#now.write(batch);
    this.#unflushed.push([...batch]);
  }
  writeAll(parts: readonly WritePart[]): void {
    this.write(parts.flatMap(({ prefix, writes }) => writes.map((write) => prefixed(prefix, write))));
  }
  deleteRange(from: StateKey, to: StateKey): void {
    this.write([...this.#now.scan({ from, to })].map(({ key }) => ({ key, value: undefined })));
  }
  freeze(range: { from: StateKey; to: StateKey }): FrozenStore {
    const copy = new MemoryStateStore();
    copy.write([...this.#now.scan(range)]);
    return {
      get: (key) => copy.get(key),
      getIn: (prefix, key) => copy.get(prefix + key),
      scan: (part) => copy.scan(part),
      write: () => assert(false, "a frozen state is not written"),
      close: () => undefined,
    };
  }
  flush(): Promise<void> {
    const upTo = this.#unflushed.length;
    const batches = this.#unflushed.slice(0, upTo);
    return new Promise((resolve) =>
      this.#schedule(() => {
        for (const batch of batches) {
          const at = this.#unflushed.indexOf(batch);
          if (at === -1) continue;
          this.#flushed.write(batch);
          this.#unflushed.splice(at, 1);
        }
        resolve();
      }),
    );
  }
  async close(): Promise<void> {}

  /** The store as the next life finds it. This one must not be used any more. */
  crash(random: Random): MemoryDurableStore {
    const kept = Math.floor(random.unit() * (this.#unflushed.length + 1));
    for (const batch of this.#unflushed.slice(0, kept)) this.#flushed.write(batch);
    return new MemoryDurableStore(this.#schedule, [...this.#flushed.scan({ from: "" })]);
  }
}
