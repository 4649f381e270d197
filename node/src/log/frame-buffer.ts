import type { Place, SegmentHeader } from "./format.ts";
import { aligned, frameHeaderBytes, sealFrame, segmentHeaderBytes, writeSegmentHeader } from "./format.ts";
import { type LogRecord, recordBytes, writeRecord } from "./records.ts";

/** Who waits for a frame to be durable. */
export interface Waiter {
  resolve: () => void;
  reject: (error: unknown) => void;
}

const start = segmentHeaderBytes + frameHeaderBytes;

/**
 * One frame being filled: each record is encoded once, straight into the bytes that are written. Room for a segment
 * header stays in front, for the case that the frame opens a segment.
 */
export class FrameBuffer {
  records: LogRecord[] = [];
  waiters: Waiter[] = [];
  #bytes: Buffer;
  #used = start;

  constructor(sizeBytes: number) {
    this.#bytes = Buffer.allocUnsafe(sizeBytes);
  }

  /** Bytes that the frame takes in a segment. */
  get sizeBytes(): number {
    return aligned(this.#used - segmentHeaderBytes);
  }
  /** Bytes of its records. */
  get recordBytes(): number {
    return this.#used - start;
  }
  get capacityBytes(): number {
    return this.#bytes.length;
  }

  add(records: readonly LogRecord[], sizeBytes: number): void {
    this.#grow(sizeBytes);
    for (const record of records) {
      this.#used = writeRecord(this.#bytes, this.#used, record);
      this.records.push(record);
    }
  }

  #grow(moreBytes: number): void {
    const needed = aligned(this.#used + moreBytes);
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#used);
    this.#bytes = grown;
  }

  /** The bytes to write and the frame's checksum; with `opens` the segment's header stands in front. */
  seal(frame: { previousCrc: number; place: Place; synced: Place; salt: number }, opens: SegmentHeader | undefined) {
    const crc = sealFrame(this.#bytes.subarray(segmentHeaderBytes, this.#used), frame);
    const end = aligned(this.#used);
    this.#bytes.fill(0, this.#used, end);
    if (opens === undefined) return { crc, bytes: this.#bytes.subarray(segmentHeaderBytes, end) };
    writeSegmentHeader(this.#bytes, opens);
    return { crc, bytes: this.#bytes.subarray(0, end) };
  }

  clear(): void {
    this.records = [];
    this.waiters = [];
    this.#used = start;
  }
}

export function sizeOf(records: readonly LogRecord[]): number {
  let bytes = 0;
  for (const record of records) bytes += recordBytes(record);
  return bytes;
}
