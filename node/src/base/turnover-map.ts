/** A table that holds few is given up after so many additions. */
const additionsMin = 64;

/**
 * A map of what is under way: much is added, and soon taken out again.
 *
 * Why not a Map alone: one that stays in use moves to a new table every few dozen additions, and V8 has each old table point at
 * the next one. Once one of them was moved out of the nursery, it keeps all later ones alive, and with them whatever was
 * under way when each was left: every request then outlives the nursery, until the next full collection. So a fresh map, which
 * no old table knows, takes over what is left as often as that costs less than the additions did.
 */
export class TurnoverMap<K, V> {
  #map = new Map<K, V>();
  /** Since the map was fresh. */
  #additions = 0;

  get size(): number {
    return this.#map.size;
  }

  get(key: K): V | undefined {
    return this.#map.get(key);
  }

  has(key: K): boolean {
    return this.#map.has(key);
  }

  /** Not between two steps of an iteration. */
  set(key: K, value: V): void {
    if (this.#additions >= Math.max(additionsMin, this.#map.size)) {
      this.#map = new Map(this.#map);
      this.#additions = 0;
    }
    this.#additions++;
    this.#map.set(key, value);
  }

  delete(key: K): boolean {
    return this.#map.delete(key);
  }

  clear(): void {
    this.#map = new Map();
    this.#additions = 0;
  }

  /** What is taken out between two steps is not met any more. */
  values(): IterableIterator<V> {
    return this.#map.values();
  }
}
