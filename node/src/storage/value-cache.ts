import type { StateKey } from "../machine/store.ts";

/**
 * Values read or written lately, bounded by bytes. Two maps: what is used moves to the young one; when that holds half
 * of the bytes it becomes the old one and the former old one is dropped. No list to keep, a hit costs one lookup.
 */
export class ValueCache {
  #young = new Map<StateKey, Uint8Array>();
  #old = new Map<StateKey, Uint8Array>();
  #youngBytes = 0;
  readonly #halfBytes: number;

  constructor(bytesMax: number) {
    this.#halfBytes = bytesMax / 2;
  }

  get(key: StateKey): Uint8Array | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  /** What the old map holds of the key is hidden by the young one, and goes with it. */
  set(key: StateKey, value: Uint8Array): void {
    const known = this.#young.get(key);
    this.#youngBytes += weight(key, value) - (known === undefined ? 0 : weight(key, known));
    this.#young.set(key, value);
    if (this.#youngBytes <= this.#halfBytes) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
  }

  /**
   * A value was written: most of what is written is not read soon, so only what was read before is kept, as a copy, since
   * it may be a view of a large network buffer.
   */
  refresh(key: StateKey, value: Uint8Array): void {
    if (this.#young.has(key) || this.#old.has(key)) this.set(key, Uint8Array.prototype.slice.call(value));
  }

  delete(key: StateKey): void {
    const known = this.#young.get(key);
    if (known !== undefined) {
      this.#youngBytes -= weight(key, known);
      this.#young.delete(key);
    }
    this.#old.delete(key);
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
    this.#youngBytes = 0;
  }
}

function weight(key: StateKey, value: Uint8Array): number {
  return key.length + value.length + 100;
}
