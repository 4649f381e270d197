// Reading and writing protobuf by hand: the generated code copies every bytes field and allocates a writer a message,
// which costs more than the consensus itself. Same bytes on the wire; wire.test.ts holds both against each other.

const bytesMin = 64 * 1024;
/** Scratch memory kept between uses; a larger need is met once and then given back. */
const bytesKeptMax = 4 * 1024 * 1024;
/** Bytes of a length that is filled in later: a padded varint, enough for 2^28. */
const lengthBytes = 4;

/** A growing buffer that is reused; `take` copies out what was written. */
export class WireWriter {
  #out = Buffer.allocUnsafeSlow(bytesMin);
  #at = 0;

  get size(): number {
    return this.#at;
  }

  take(): Uint8Array {
    const bytes = Buffer.allocUnsafeSlow(this.#at);
    this.#out.copy(bytes, 0, 0, this.#at);
    this.#at = 0;
    if (this.#out.length > bytesKeptMax) this.#out = Buffer.allocUnsafeSlow(bytesMin);
    return bytes;
  }

  /** Makes sure that `count` more bytes fit; the put functions do not check. */
  reserve(count: number): void {
    const needed = this.#at + count;
    if (needed <= this.#out.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#out.length * 2));
    this.#out.copy(larger, 0, 0, this.#at);
    this.#out = larger;
  }

  /** A varint field, left out when 0. */
  putNumber(field: number, value: number): void {
    if (value === 0) return;
    this.putVarint(field * 8);
    this.putVarint(value);
  }

  /** A bytes field, left out when empty; reserves its own room. */
  putBytes(field: number, value: Uint8Array): void {
    if (value.length === 0) return;
    this.reserve(value.length + 16);
    this.putVarint(field * 8 + 2);
    this.putVarint(value.length);
    this.#out.set(value, this.#at);
    this.#at += value.length;
  }

  /** Opens a message field; hand the result to `close`. */
  open(field: number): number {
    this.putVarint(field * 8 + 2);
    this.#at += lengthBytes;
    return this.#at;
  }

  close(start: number): void {
    const length = this.#at - start;
    const at = start - lengthBytes;
    this.#out[at] = (length & 0x7f) | 0x80;
    this.#out[at + 1] = ((length >>> 7) & 0x7f) | 0x80;
    this.#out[at + 2] = ((length >>> 14) & 0x7f) | 0x80;
    this.#out[at + 3] = (length >>> 21) & 0x7f;
  }

  putVarint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#out[this.#at++] = (rest % 0x80) | 0x80;
      rest = rest < 0x80000000 ? rest >>> 7 : Math.floor(rest / 0x80);
    }
    this.#out[this.#at++] = rest;
  }
}

/** Raised on bytes that are not the message expected; the sender is at fault. */
export class WireError extends Error {}

/** A cursor over bytes; what it hands out are views. */
export class WireReader {
  readonly #bytes: Uint8Array;
  at = 0;
  readonly end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.at = start;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  varint(): number {
    const bytes = this.#bytes;
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 0x80) {
      if (this.at >= this.end) throw new WireError("a number is cut off");
      const byte = bytes[this.at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
    }
    throw new WireError("a number is beyond 2^53");
  }

  bytes(): Uint8Array {
    const length = this.varint();
    const start = this.at;
    if (length > this.end - start) throw new WireError("bytes are cut off");
    this.at += length;
    return this.#bytes.subarray(start, this.at);
  }

  /** A reader of the message field that follows. */
  message(): WireReader {
    const length = this.varint();
    const start = this.at;
    if (length > this.end - start) throw new WireError("a message is cut off");
    this.at += length;
    return new WireReader(this.#bytes, start, this.at);
  }

  /** Passes over a field of an unknown tag. */
  skip(tag: number): void {
    switch (tag & 7) {
      case 0:
        this.varint();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.#advance(this.varint());
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        throw new WireError(`wire type ${tag & 7} is unknown`);
    }
  }

  #advance(count: number): void {
    if (count > this.end - this.at) throw new WireError("a field is cut off");
    this.at += count;
  }
}
