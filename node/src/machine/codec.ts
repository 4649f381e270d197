import { assert } from "../base/assert.ts";
import { noBytes, textOf, utf8 } from "../base/bytes.ts";

/** Writes stored values: varints up to 2^53, length-prefixed bytes and text. One buffer is reused; `finish` copies. */
export class ByteWriter {
  #buffer = new Uint8Array(1024);
  #size = 0;

  reset(): this {
    this.#size = 0;
    return this;
  }

  byte(value: number): this {
    this.#reserve(1);
    this.#buffer[this.#size++] = value;
    return this;
  }

  varint(value: number): this {
    assert(value >= 0 && value <= Number.MAX_SAFE_INTEGER, "a stored number is a safe integer, not negative");
    this.#reserve(8);
    let rest = value;
    while (rest >= 128) {
      this.#buffer[this.#size++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[this.#size++] = rest;
    return this;
  }

  bytes(value: Uint8Array): this {
    this.varint(value.length);
    this.#reserve(value.length);
    this.#buffer.set(value, this.#size);
    this.#size += value.length;
    return this;
  }

  text(value: string): this {
    if (value.length > 64) return this.bytes(utf8(value));
    this.#reserve(value.length + 1);
    const start = this.#size;
    this.#buffer[this.#size++] = value.length;
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i);
      if (unit >= 0x80) {
        this.#size = start;
        return this.bytes(utf8(value));
      }
      this.#buffer[this.#size++] = unit;
    }
    return this;
  }

  /** A copy of what was written since `reset`. */
  finish(): Uint8Array {
    const view = this.#buffer.subarray(0, this.#size);
    const out = Buffer.allocUnsafe(this.#size);
    out.set(view);
    return out;
  }

  #reserve(count: number): void {
    if (this.#size + count <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(this.#buffer.length * 2, this.#size + count));
    larger.set(this.#buffer.subarray(0, this.#size));
    this.#buffer = larger;
  }
}

/** Reads what ByteWriter wrote. Values come from our own store, whose adapter checks sums: a misfit is a broken invariant. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Bytes read so far. */
  get at(): number {
    return this.#at;
  }

  byte(): number {
    const value = this.#bytes[this.#at++];
    assert(value !== undefined, "a stored value is whole");
    return value;
  }

  varint(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
  }

  /** A view, not a copy. */
  bytes(): Uint8Array {
    const size = this.varint();
    assert(this.#at + size <= this.#bytes.length, "a stored value is whole");
    if (size === 0) return noBytes;
    const out = this.#bytes.subarray(this.#at, this.#at + size);
    this.#at += size;
    return out;
  }

  text(): string {
    const size = this.varint();
    assert(this.#at + size <= this.#bytes.length, "a stored value is whole");
    const start = this.#at;
    this.#at += size;
    if (size > 64) return textOf(this.#bytes.subarray(start, this.#at));
    let out = "";
    for (let i = start; i < this.#at; i++) {
      const byte = this.#bytes[i]!;
      if (byte >= 0x80) return textOf(this.#bytes.subarray(start, this.#at));
      out += String.fromCharCode(byte);
    }
    return out;
  }
}
