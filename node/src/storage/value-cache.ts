import type { StateKey } from "../machine/store.ts";

type Values = Map<StateKey, Uint8Array>;

/** Stands for "there is no such key": a file is looked for before it is written, most of them for the first time. */
export const absent = new Uint8Array(0);

/** Copies lie side by side in slabs of so many bytes: a buffer of its own costs a small value more than all else in a put. */
const slabBytes = 16 * 1024;
/** Larger ones have a buffer of their own. */
const sharedBytesMax = 2 * 1024;

/**
 * Values read or written lately, and keys that were looked for in vain, bounded by bytes. Two generations: what is used
 * moves to the young one; when that holds half of the bytes it becomes the old one and the former old one is dropped.
 * No list to keep, a hit costs two lookups. A copy that was replaced goes with its slab, which goes with its generation: it
 * counts until then, so that the bound holds whatever is written. Keys come as prefix and rest: their owner keeps both as they are, so that
 * neither is joined or hashed again.
 */
export class ValueCache {
  #young = new Map<StateKey, Values>();
  #old = new Map<StateKey, Values>();
  #youngBytes = 0;
  readonly #halfBytes: number;
  /** The slab that is being filled, and up to where it is. */
  #slab = Buffer.allocUnsafeSlow(0);
  #filled = 0;

  constructor(bytesMax: number) {
    this.#halfBytes = bytesMax / 2;
  }

  get(prefix: StateKey, key: StateKey): Uint8Array | undefined {
    const young = this.#young.get(prefix)?.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(prefix)?.get(key);
    // In the slab of an old generation it would keep all of that alive.
    if (old !== undefined) this.set(prefix, key, isShared(old) ? this.#copyOf(old) : old);
    return old;
  }

  /** What the old generation holds of the key is hidden by the young one, and goes with it. */
  set(prefix: StateKey, key: StateKey, value: Uint8Array): void {
    let values = this.#young.get(prefix);
    if (values === undefined) {
      values = new Map();
      this.#young.set(prefix, values);
    }
    const known = values.get(key);
    this.#youngBytes += weight(key, value) - (known === undefined ? 0 : regained(key, known));
    values.set(key, value);
    if (this.#youngBytes <= this.#halfBytes) return;
    this.#old = this.#young;
    this.#begin();
  }

  #begin(): void {
    this.#young = new Map();
    this.#youngBytes = 0;
    this.#slab = Buffer.allocUnsafeSlow(0);
    this.#filled = 0;
  }

  #copyOf(value: Uint8Array): Uint8Array {
    const { length } = value;
    if (length > sharedBytesMax) return Uint8Array.prototype.slice.call(value);
    if (this.#filled + length > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(slabBytes);
      this.#filled = 0;
    }
    const copy = this.#slab.subarray(this.#filled, this.#filled + length);
    copy.set(value);
    this.#filled += length;
    return copy;
  }

  /**
   * A value was written, or removed (`absent`): most of what is written is not read soon, so only what was looked for
   * before is kept, as a copy, since it may be a view of a large network buffer.
   */
  refresh(prefix: StateKey, key: StateKey, value: Uint8Array): void {
    if (this.#young.get(prefix)?.has(key) || this.#old.get(prefix)?.has(key)) {
      this.set(prefix, key, value === absent ? absent : this.#copyOf(value));
    }
  }

  #forget(prefix: StateKey, key: StateKey): void {
    const values = this.#young.get(prefix);
    const known = values?.get(key);
    if (known !== undefined) {
      this.#youngBytes -= regained(key, known);
      values?.delete(key);
    }
    this.#old.get(prefix)?.delete(key);
  }

  /** Forgets the keys from `from` up to, not including, `to`. */
  cut(prefix: StateKey, from: StateKey, to: StateKey): void {
    for (const values of [this.#young.get(prefix), this.#old.get(prefix)]) {
      for (const key of values?.keys() ?? []) if (key >= from && key < to) this.#forget(prefix, key);
    }
  }

  clear(): void {
    this.#old = new Map();
    this.#begin();
  }
}

function weight(key: StateKey, value: Uint8Array): number {
  return key.length + value.length + 100;
}

function isShared(value: Uint8Array): boolean {
  return value.buffer.byteLength === slabBytes;
}

/** What of its weight is free at once when a value goes. */
function regained(key: StateKey, value: Uint8Array): number {
  return weight(key, value) - (isShared(value) ? value.length : 0);
}
