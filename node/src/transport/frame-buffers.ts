/** Smaller frames are cheaper made afresh. */
const bytesMin = 64 * 1024;

/**
 * Buffers for large frames that are used again: fresh ones of a MiB each keep the garbage collector at work, which cost
 * a receiver of chunks as much as its disk.
 */
export class FrameBuffers {
  readonly #free: ArrayBufferLike[] = [];
  readonly #sizeBytes: number;
  readonly #freeMax: number;

  /** Frames of up to `sizeBytes`; `freeMax` are kept. */
  constructor(sizeBytes: number, freeMax: number) {
    this.#sizeBytes = sizeBytes;
    this.#freeMax = freeMax;
  }

  take(bytes: number): Buffer {
    if (bytes < bytesMin || bytes > this.#sizeBytes) return Buffer.allocUnsafeSlow(bytes);
    return Buffer.from(this.#free.pop() ?? new ArrayBuffer(this.#sizeBytes), 0, bytes);
  }

  /** Nobody reads this frame, or what is a view of it, any more. Frames of other buffers are let go. */
  giveBack(frame: Uint8Array): void {
    const { buffer } = frame;
    if (buffer.byteLength === this.#sizeBytes && this.#free.length < this.#freeMax) this.#free.push(buffer);
  }

  get free(): number {
    return this.#free.length;
  }
}
