/** Bits of the first part; each next one is twice as large, up to the last size. */
const firstBits = 2 ** 13;
const lastBits = 2 ** 25;
/** Bits an id: the filter errs for fewer than one in two hundred. */
const bitsPerId = 16;
const wordsPerId = 4;

/** One Bloom filter. Ids are drawn at random, so that their own four words are the places. */
class Part {
  readonly #bits: Uint32Array;
  readonly #mask: number;
  #room: number;
  /** Number of the newest id in it. */
  last = 0;

  constructor(bits: number) {
    this.#bits = new Uint32Array(bits / 32);
    this.#mask = bits - 1;
    this.#room = bits / bitsPerId;
  }

  get bits(): number {
    return this.#mask + 1;
  }
  get isFull(): boolean {
    return this.#room <= 0;
  }

  add(id: Uint8Array): void {
    this.#room--;
    for (let i = 0; i < wordsPerId; i++) {
      const place = wordOf(id, i) & this.#mask;
      this.#bits[place >>> 5]! |= 1 << (place & 31);
    }
  }

  has(id: Uint8Array): boolean {
    for (let i = 0; i < wordsPerId; i++) {
      const place = wordOf(id, i) & this.#mask;
      if ((this.#bits[place >>> 5]! & (1 << (place & 31))) === 0) return false;
    }
    return true;
  }
}

function wordOf(id: Uint8Array, i: number): number {
  const at = i * 4;
  return id[at]! | (id[at + 1]! << 8) | (id[at + 2]! << 16) | (id[at + 3]! << 24);
}

/**
 * Says of most request ids that they are certainly not stored, without a look into the store: nearly every command is
 * new. False is certain, true means to look, so that it never changes an answer. It knows the ids of its own life alone,
 * and says true until all older ones are forgotten. Ids are told by the sequence number that the store orders them by.
 */
export class RequestFilter {
  /** Oldest first. */
  #parts: Part[] = [];
  /** Ids below it are unknown here. */
  readonly #from: number;

  /** `next`: the number that the first id told of will have. */
  constructor(next: number) {
    this.#from = next;
  }

  add(id: Uint8Array, sequence: number): void {
    let part = this.#parts.at(-1);
    if (part === undefined || part.isFull) {
      part = new Part(part === undefined ? firstBits : Math.min(part.bits * 2, lastBits));
      this.#parts.push(part);
    }
    part.add(id);
    part.last = sequence;
  }

  /** False: the id is not among those stored, which begin at number `first`. */
  mayHave(id: Uint8Array, first: number): boolean {
    if (first < this.#from) return true;
    while (this.#parts.length > 0 && this.#parts[0]!.last < first) this.#parts.shift();
    for (const part of this.#parts) if (part.has(id)) return true;
    return false;
  }
}
