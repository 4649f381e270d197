import { assert } from "../../base/assert.ts";

/**
 * The window of append messages that were sent to a follower and not yet acknowledged, limited by count and by bytes.
 * The byte limit is soft: one message may pass it. A ring that grows on demand, for boxes with thousands of groups.
 */
export class Inflights {
  readonly #countMax: number;
  readonly #bytesMax: number;
  /** Last index of each message in flight; parallel to `#bytes`. */
  #indexes: number[] = [];
  #sizes: number[] = [];
  #start = 0;
  #count = 0;
  #bytes = 0;

  /** `bytesMax` 0 means no byte limit. */
  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  isFull(): boolean {
    return this.#count >= this.#countMax || (this.#bytesMax !== 0 && this.#bytes >= this.#bytesMax);
  }

  /** Indexes must not decrease from call to call, and the window must have room. */
  add(index: number, bytes: number): void {
    assert(!this.isFull(), "cannot add into a full inflight window");
    if (this.#count === this.#indexes.length) this.#grow();
    const at = (this.#start + this.#count) % this.#indexes.length;
    this.#indexes[at] = index;
    this.#sizes[at] = bytes;
    this.#count++;
    this.#bytes += bytes;
  }

  /** Frees every message that ends at or before `index`. */
  freeThrough(index: number): void {
    const capacity = this.#indexes.length;
    while (this.#count > 0 && (this.#indexes[this.#start] as number) <= index) {
      this.#bytes -= this.#sizes[this.#start] as number;
      this.#start = (this.#start + 1) % capacity;
      this.#count--;
    }
    if (this.#count === 0) this.#start = 0;
  }

  reset(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  #grow(): void {
    const [indexes, sizes, capacity] = [this.#indexes, this.#sizes, this.#indexes.length];
    const grown = Math.min(Math.max(1, capacity * 2), this.#countMax);
    this.#indexes = new Array<number>(grown).fill(0);
    this.#sizes = new Array<number>(grown).fill(0);
    for (let i = 0; i < this.#count; i++) {
      this.#indexes[i] = indexes[(this.#start + i) % capacity] as number;
      this.#sizes[i] = sizes[(this.#start + i) % capacity] as number;
    }
    this.#start = 0;
  }
}
