// Writer and reader for generated messages on hot paths. The package's own writer makes an array a message level and
// copies at each of them, and its reader makes a BigInt of every 64-bit field and then a string of that: together more
// than the rest of a small put. Here a message is written once into one buffer that is kept, and numbers stay numbers.
import { BinaryReader, BinaryWriter, configureTextEncoding, getTextEncoding } from "@bufbuild/protobuf/wire";

// For every reader of this process, gRPC's too: bytes that are no text are an error instead of another text, which would be
// written under a name that nobody said; and a text that begins with a byte order mark keeps it.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
configureTextEncoding({ ...getTextEncoding(), decodeUtf8: textOf });
function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Error("a text is not UTF-8");
  }
}

const firstBytes = 64 * 1024;
/** A buffer that grew beyond this for one message is given back. */
const keptBytesMax = 4 * 1024 * 1024;
const twoTo32 = 2 ** 32;
/** Texts up to this length are looked at for being ASCII. */
const shortText = 64;

/** Not reentrant: one message is encoded at a time. Passed as `encode`'s writer; `finish` returns the bytes and begins anew. */
class WireWriter extends BinaryWriter {
  #buffer = Buffer.allocUnsafeSlow(firstBytes);
  #at = 0;
  /** Where the length of each open message goes. */
  readonly #open: number[] = [];

  #reserve(count: number): void {
    if (this.#at + count <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#at + count));
    larger.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = larger;
  }

  /** Drops what a failed encoding left behind. */
  reset(): this {
    this.#at = 0;
    this.#open.length = 0;
    return this;
  }

  override finish(): Buffer<ArrayBuffer> {
    const out = Buffer.allocUnsafe(this.#at);
    out.set(this.#buffer.subarray(0, this.#at));
    if (this.#buffer.length > keptBytesMax) this.#buffer = Buffer.allocUnsafeSlow(firstBytes);
    this.reset();
    return out;
  }

  /** One byte is kept for the length; a longer message is moved when it is done. */
  override fork(): this {
    this.#reserve(1);
    this.#open.push(this.#at++);
    return this;
  }

  override join(): this {
    const head = this.#open.pop();
    if (head === undefined) throw new Error("join without fork");
    const length = this.#at - head - 1;
    if (length >= 0x80) {
      const more = varintBytes(length) - 1;
      this.#reserve(more);
      this.#buffer.copyWithin(head + 1 + more, head + 1, this.#at);
      this.#at += more;
    }
    putVarint(this.#buffer, head, length);
    return this;
  }

  override raw(chunk: Uint8Array): this {
    this.#reserve(chunk.length);
    this.#buffer.set(chunk, this.#at);
    this.#at += chunk.length;
    return this;
  }

  override uint32(value: number): this {
    this.#reserve(10);
    this.#at = putVarint(this.#buffer, this.#at, value);
    return this;
  }

  override uint64(value: string | number | bigint): this {
    const number = Number(value);
    if (!Number.isSafeInteger(number) || number < 0) throw new RangeError(`${value} is no unsigned safe integer`);
    return this.uint32(number);
  }

  override bool(value: boolean): this {
    this.#reserve(1);
    this.#buffer[this.#at++] = value ? 1 : 0;
    return this;
  }

  override bytes(value: Uint8Array): this {
    return this.uint32(value.length).raw(value);
  }

  override string(value: string): this {
    const { length } = value;
    if (length < shortText) {
      this.#reserve(length + 1);
      const start = this.#at;
      this.#buffer[this.#at++] = length;
      for (let i = 0; i < length; i++) {
        const unit = value.charCodeAt(i);
        if (unit >= 0x80) {
          this.#at = start;
          return this.#longText(value);
        }
        this.#buffer[this.#at++] = unit;
      }
      return this;
    }
    return this.#longText(value);
  }

  #longText(value: string): this {
    const length = Buffer.byteLength(value);
    this.uint32(length);
    this.#reserve(length);
    this.#buffer.write(value, this.#at, "utf8");
    this.#at += length;
    return this;
  }
}

interface Encoder<T> {
  encode(message: T, writer?: BinaryWriter): BinaryWriter;
}
interface Decoder<T> {
  decode(input: BinaryReader | Uint8Array): T;
}

const writer = new WireWriter();
const latin1 = Buffer.prototype.latin1Slice;

/** The message's bytes after `head`, if one is given. */
export function encodeMessage<T>(type: Encoder<T>, message: T, head?: Uint8Array): Buffer {
  writer.reset();
  if (head !== undefined) writer.raw(head);
  type.encode(message, writer);
  return writer.finish();
}

/** Throws on bytes that are no message of the type. */
export function decodeMessage<T>(type: Decoder<T>, bytes: Uint8Array): T {
  return type.decode(new WireReader(bytes));
}

/** Says itself as the number that the generated `longToNumber` makes of it: read at once, never kept. */
class ReadNumber {
  value = 0;
  toString(): string {
    return this.value as unknown as string;
  }
}
const readNumber = new ReadNumber();

class WireReader extends BinaryReader {
  override uint64(): bigint {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.buf[this.pos++];
      if (byte === undefined) throw new RangeError("premature EOF");
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        readNumber.value = value;
        return readNumber as unknown as bigint;
      }
      factor *= 128;
    }
    throw new Error("invalid varint");
  }

  override bool(): boolean {
    const byte = this.buf[this.pos];
    if (byte === undefined || byte >= 0x80) return super.bool();
    this.pos++;
    return byte !== 0;
  }

  override string(strict?: boolean): string {
    const before = this.pos;
    const length = this.uint32();
    const start = this.pos;
    const end = start + length;
    if (length >= shortText || end > this.len) {
      this.pos = before;
      return super.string(strict);
    }
    for (let i = start; i < end; i++) {
      if (this.buf[i]! >= 0x80) {
        this.pos = before;
        return super.string(strict);
      }
    }
    this.pos = end;
    return start === end ? "" : latin1.call(this.buf, start, end);
  }
}

function putVarint(buffer: Uint8Array, at: number, value: number): number {
  let rest = value;
  while (rest >= twoTo32) {
    buffer[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest > 0x7f) {
    buffer[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[at++] = rest;
  return at;
}

/** Bytes that `value` takes as a varint. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}
