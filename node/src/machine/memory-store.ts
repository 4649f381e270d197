import { SortedKeys } from "./sorted-keys.ts";
import type { ScanRange, StateKey, StatePair, StateStore, StateWrite } from "./store.ts";

/** A StateStore in memory: for tests, the simulator and zones that live no longer than the process. */
export class MemoryStateStore implements StateStore {
  readonly #values = new Map<StateKey, Uint8Array>();
  readonly #keys = new SortedKeys();

  get size(): number {
    return this.#values.size;
  }

  get(key: StateKey): Uint8Array | undefined {
    return this.#values.get(key);
  }

  scan(range: ScanRange): Iterable<StatePair> {
    const { from, to, limit = Number.POSITIVE_INFINITY, reverse } = range;
    const out: StatePair[] = [];
    if (limit <= 0) return out;
    for (const key of reverse ? this.#keys.rangeReverse(from, to) : this.#keys.range(from, to)) {
      out.push({ key, value: this.#values.get(key)! });
      if (out.length >= limit) break;
    }
    return out;
  }

  write(batch: readonly StateWrite[]): void {
    for (const { key, value, to } of batch) {
      if (to !== undefined) continue;
      const known = this.#values.has(key);
      if (value === undefined) {
        if (known) this.#keys.delete(key);
        this.#values.delete(key);
      } else {
        if (!known) this.#keys.add(key);
        this.#values.set(key, value);
      }
    }
    for (const { key, to } of batch) if (to !== undefined) this.#cut(key, to);
  }

  #cut(from: StateKey, to: StateKey): void {
    for (const key of [...this.#keys.range(from, to)]) {
      this.#keys.delete(key);
      this.#values.delete(key);
    }
  }
}
