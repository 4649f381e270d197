import { assert } from "./assert.ts";

/** First in, first out, with a limit on items and on their weight (bytes). `push` says no instead of growing. */
export class BoundedQueue<T> {
  #items: (T | undefined)[] = [];
  #head = 0;
  #weight = 0;
  readonly #itemsMax: number;
  readonly #weightMax: number;
  readonly #weigh: (item: T) => number;

  constructor(limits: { itemsMax: number; weightMax?: number; weigh?: (item: T) => number }) {
    assert(limits.itemsMax > 0, "a queue has room for one item");
    this.#itemsMax = limits.itemsMax;
    this.#weightMax = limits.weightMax ?? Number.MAX_SAFE_INTEGER;
    this.#weigh = limits.weigh ?? (() => 0);
  }

  get size(): number {
    return this.#items.length - this.#head;
  }
  get weight(): number {
    return this.#weight;
  }

  /** False, and nothing changed, when the item does not fit. A single item above the weight limit fits an empty queue. */
  push(item: T): boolean {
    const weight = this.#weigh(item);
    if (this.size >= this.#itemsMax) return false;
    if (this.size > 0 && this.#weight + weight > this.#weightMax) return false;
    this.#items.push(item);
    this.#weight += weight;
    return true;
  }

  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#head] as T;
    this.#items[this.#head++] = undefined;
    this.#weight -= this.#weigh(item);
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes everything, in order. */
  drain(): T[] {
    const all = this.#items.slice(this.#head) as T[];
    this.#items = [];
    this.#head = 0;
    this.#weight = 0;
    return all;
  }
}
