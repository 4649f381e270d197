/** Places of the first part's table; each next part is twice as large, up to the last size. */
const firstPlaces = 2 ** 6;
const lastPlaces = 2 ** 22;
/** Share of a table that is filled before the next part begins. */
const fullShare = 0.6;
/** A place holds ten bits of the id and, below, where in the part's span of indexes the request stands. */
const spanBits = 22;
const spanMax = 2 ** spanBits;

/** A hash table of ids that stand within `spanMax` indexes from `base` on. Ids are drawn at random: they hash themselves. */
class Part {
  readonly base: number;
  /** Index of the newest id in it. */
  last: number;
  readonly #places: Uint32Array;
  /** Sixteen more bits of the id: a new one is compared with some forty places, and each match is a look into the store. */
  readonly #more: Uint16Array;
  #room: number;

  constructor(base: number, places: number) {
    this.base = base;
    this.last = base;
    this.#places = new Uint32Array(places);
    this.#more = new Uint16Array(places);
    this.#room = Math.floor(places * fullShare);
  }

  get size(): number {
    return this.#places.length;
  }
  takes(index: number): boolean {
    return this.#room > 0 && index - this.base < spanMax;
  }

  add(id: Uint8Array, index: number): void {
    const mask = this.#places.length - 1;
    let at = wordOf(id, 0) & mask;
    while (this.#places[at] !== 0) at = (at + 1) & mask;
    this.#places[at] = ((tagOf(id) << spanBits) | (index - this.base)) >>> 0;
    this.#more[at] = moreOf(id);
    this.#room--;
    this.last = index;
  }

  /** Where the id may stand: of other ids one in 67 million has the same 26 bits. */
  find(id: Uint8Array, found: number[]): void {
    const mask = this.#places.length - 1;
    const tag = tagOf(id);
    const more = moreOf(id);
    for (let at = wordOf(id, 0) & mask; ; at = (at + 1) & mask) {
      const place = this.#places[at]!;
      if (place === 0) return;
      if (place >>> spanBits === tag && this.#more[at] === more) found.push(this.base + (place & (spanMax - 1)));
    }
  }
}

function wordOf(id: Uint8Array, at: number): number {
  return id[at]! | (id[at + 1]! << 8) | (id[at + 2]! << 16) | (id[at + 3]! << 24);
}

/** 1 to 1023. */
function tagOf(id: Uint8Array): number {
  return wordOf(id, 4) >>> spanBits || 1;
}

function moreOf(id: Uint8Array): number {
  return id[4]! | (id[5]! << 8);
}

/** Bytes of an id that are looked at here. */
export const idHeadBytes = 8;
const nowhere: readonly number[] = [];

/**
 * Tells where in the log a request id may stand, from memory alone: nearly every command is new, and a look into the
 * store for each would cost more than the command. Ten to twenty bytes a remembered request.
 */
export class RequestIndex {
  /** Oldest first. */
  #parts: Part[] = [];

  /** `id`: its first bytes at least. Indexes only grow. */
  add(id: Uint8Array, index: number): void {
    let part = this.#parts.at(-1);
    if (part === undefined || !part.takes(index)) {
      part = new Part(index, part === undefined ? firstPlaces : Math.min(part.size * 2, lastPlaces));
      this.#parts.push(part);
    }
    part.add(id, index);
  }

  /** Indexes at which the id may stand, each to be looked at; those below `first` are forgotten. */
  find(id: Uint8Array, first: number): readonly number[] {
    while (this.#parts.length > 0 && this.#parts[0]!.last < first) this.#parts.shift();
    if (this.#parts.length === 0) return nowhere;
    const found: number[] = [];
    for (const part of this.#parts) part.find(id, found);
    return found.length === 0 ? nowhere : found.filter((index) => index >= first);
  }
}
