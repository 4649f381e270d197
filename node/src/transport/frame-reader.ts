// Frames out of a byte stream. Each frame is one length-delimited proto field (tag, length, body; see frames.ts), so a
// stream needs no framing beside it: joined frames are a valid proto message, and frames are what gRPC messages carry.

/** Tag and a length below 2^28. */
const headBytesMax = 5;

export class FrameReader {
  /** Largest frame, head included; asked at each head. */
  bytesMax: number;
  readonly #each: (frame: Buffer) => void;
  readonly #take: (bytes: number) => Buffer;
  /** A frame whose end has not come: its bytes so far, and how many those are. */
  #partial: Buffer | undefined;
  #filled = 0;
  /** Less than a head. */
  #head: Buffer | undefined;

  /** `each` gets views of what was pushed, or bytes that `take` gave: a buffer of so many for a frame that comes in parts. */
  constructor(
    bytesMax: number,
    each: (frame: Buffer) => void,
    take: (bytes: number) => Buffer = Buffer.allocUnsafeSlow,
  ) {
    this.bytesMax = bytesMax;
    this.#each = each;
    this.#take = take;
  }

  /** Why the stream must be ended; undefined while it is well formed. `isOver` is asked between two frames. */
  push(chunk: Buffer, isOver: () => boolean): string | undefined {
    let at = 0;
    if (this.#partial !== undefined) {
      at = this.#fill(this.#partial, chunk, 0);
      if (this.#partial !== undefined) return undefined;
    }
    let bytes = chunk;
    if (this.#head !== undefined) {
      bytes = Buffer.concat([this.#head, chunk]);
      this.#head = undefined;
      at = 0;
    }
    while (at < bytes.length && !isOver()) {
      const total = frameLength(bytes, at);
      if (total === undefined) {
        if (bytes.length - at >= headBytesMax) return "bytes that are no frame";
        this.#head = Buffer.from(bytes.subarray(at));
        return undefined;
      }
      if (total > this.bytesMax) return `a frame of ${total} bytes, at most ${this.bytesMax} are taken`;
      if (at + total > bytes.length) {
        this.#partial = this.#take(total);
        this.#filled = 0;
        this.#fill(this.#partial, bytes, at);
        return undefined;
      }
      this.#each(bytes.subarray(at, at + total));
      at += total;
    }
    return undefined;
  }

  /** Where in `from` the frame ends that was begun. */
  #fill(partial: Buffer, from: Buffer, at: number): number {
    const count = Math.min(partial.length - this.#filled, from.length - at);
    from.copy(partial, this.#filled, at, at + count);
    this.#filled += count;
    if (this.#filled === partial.length) {
      this.#partial = undefined;
      this.#each(partial);
    }
    return at + count;
  }
}

/** Head and body of the frame that begins at `at`; undefined while its head is not whole, or is none. */
function frameLength(bytes: Buffer, at: number): number | undefined {
  const tag = bytes[at];
  if (tag === undefined || (tag & 0x87) !== 2) return undefined;
  let length = 0;
  for (let i = 1; i < headBytesMax; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) << (7 * (i - 1));
    if (byte < 0x80) return length + i + 1;
  }
  return undefined;
}
