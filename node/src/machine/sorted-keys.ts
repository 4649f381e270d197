import type { StateKey } from "./store.ts";

const blockKeysMax = 512;

/** A sorted set of keys in blocks: insert and remove cost one binary search and one short move. */
export class SortedKeys {
  #blocks: StateKey[][] = [[]];

  add(key: StateKey): void {
    const at = this.#blockOf(key);
    const block = this.#blocks[at]!;
    const i = lowerBound(block, key);
    if (block[i] === key) return;
    block.splice(i, 0, key);
    if (block.length > blockKeysMax) this.#blocks.splice(at + 1, 0, block.splice(blockKeysMax / 2));
  }

  delete(key: StateKey): void {
    const at = this.#blockOf(key);
    const block = this.#blocks[at]!;
    const i = lowerBound(block, key);
    if (block[i] !== key) return;
    block.splice(i, 1);
    if (block.length === 0 && this.#blocks.length > 1) this.#blocks.splice(at, 1);
  }

  /** Keys in [from, to), ascending. The set must not change meanwhile. */
  *range(from: StateKey, to: StateKey | undefined): Generator<StateKey, void, void> {
    let at = this.#blockOf(from);
    let i = lowerBound(this.#blocks[at]!, from);
    for (; at < this.#blocks.length; at++, i = 0) {
      const block = this.#blocks[at]!;
      for (; i < block.length; i++) {
        const key = block[i]!;
        if (to !== undefined && key >= to) return;
        yield key;
      }
    }
  }

  /** Keys in [from, to), descending. The set must not change meanwhile. */
  *rangeReverse(from: StateKey, to: StateKey | undefined): Generator<StateKey, void, void> {
    let at = to === undefined ? this.#blocks.length - 1 : this.#blockOf(to);
    let i = (to === undefined ? this.#blocks[at]!.length : lowerBound(this.#blocks[at]!, to)) - 1;
    while (at >= 0) {
      const block = this.#blocks[at]!;
      for (; i >= 0; i--) {
        const key = block[i]!;
        if (key < from) return;
        yield key;
      }
      at--;
      i = (this.#blocks[at]?.length ?? 0) - 1;
    }
  }

  /** The last block whose first key is not above `key`. */
  #blockOf(key: StateKey): number {
    let low = 0;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#blocks[middle]![0]! <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function lowerBound(block: readonly StateKey[], key: StateKey): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (block[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
