import { asBuffer } from "../base/bytes.ts";
import { NexusError } from "../base/errors.ts";
import { type Disk, type DiskFile, withFile } from "./disk.ts";
import {
  aligned,
  type FrameHeader,
  findFrame,
  isBefore,
  logFormatVersion,
  readFrame,
  readFrameHeader,
  readSegmentHeader,
  type SegmentHeader,
  segmentHeaderBytes,
  segmentName,
  segmentOfName,
} from "./format.ts";
import { Replay } from "./replay.ts";

/** A segment that holds frames. */
interface Read {
  segment: number;
  bytes: Buffer;
  /** Undefined when damaged. */
  header: SegmentHeader | undefined;
}

/** Where the log goes on. */
export interface LogEnd {
  /** Undefined when nothing was ever written. */
  tail: { segment: number; file: DiskFile } | undefined;
  offset: number;
  /** Checksum of the last frame. */
  crc: number;
  /** Of the tail's frames. */
  salt: number;
  /** Segments that exist, oldest first, the tail last. */
  segments: number[];
}

/**
 * Reads all segments. Cuts a torn tail (zeroes it on disk), removes prepared segments that were never used. Damage
 * before a place that is known to have been durable is never cut: it marks groups, and reading goes on behind it.
 */
export async function recover(disk: Disk, salt: number): Promise<{ replay: Replay; end: LogEnd }> {
  const numbers = (await disk.list()).flatMap((name) => segmentOfName(name) ?? []).sort((a, b) => a - b);
  const used = await withoutPrepared(disk, numbers, salt);
  const scan = new Scan(salt);
  for (const [i, segment] of used.entries()) {
    const next = used[i + 1];
    if (next !== undefined) {
      const read = await withFile(disk, segmentName(segment), (file) => readSegment(file, segment));
      scan.segment(read, await headerOf(disk, next));
      continue;
    }
    const file = await disk.open(segmentName(segment));
    try {
      const read = await readSegment(file, segment);
      scan.segment(read, undefined);
      await zeroFrom(file, read.bytes, scan.offset);
      const { offset, crc } = scan;
      const end = { tail: { segment, file }, offset, crc, salt: read.header?.salt ?? salt, segments: used };
      return { replay: scan.replay, end };
    } catch (error) {
      await file.close();
      throw error;
    }
  }
  return { replay: scan.replay, end: { tail: undefined, offset: 0, crc: 0, salt, segments: [] } };
}

/** Drops segments at the end that hold nothing that was acknowledged. */
async function withoutPrepared(disk: Disk, numbers: number[], salt: number): Promise<number[]> {
  const used = [...numbers];
  for (let segment = used.at(-1); segment !== undefined; segment = used.at(-1)) {
    const { header, bytes } = await withFile(disk, segmentName(segment), (file) => readSegment(file, segment));
    if (header !== undefined || wasSynced(bytes, { segment, offset: 0 }, salt)) return used;
    await disk.remove(segmentName(segment));
    used.pop();
  }
  return used;
}

async function readSegment(file: DiskFile, segment: number): Promise<Read> {
  const view = await file.read(0, file.sizeBytes);
  const bytes = asBuffer(view);
  return { segment, bytes, header: checkedHeader(bytes, segment) };
}

async function headerOf(disk: Disk, segment: number): Promise<SegmentHeader | undefined> {
  const view = await withFile(disk, segmentName(segment), (file) => file.read(0, segmentHeaderBytes));
  return checkedHeader(asBuffer(view), segment);
}

function checkedHeader(bytes: Buffer, segment: number): SegmentHeader | undefined {
  const header = readSegmentHeader(bytes);
  if (header !== undefined && header.version > logFormatVersion) {
    throw new NexusError(
      "VERSION",
      `The log on this disk has format ${header.version}, this box knows up to ${logFormatVersion}: start the newer version again.`,
    );
  }
  return header?.segment === segment ? header : undefined;
}

/** True when an undamaged frame behind `place` says that `place` was durable before. */
function wasSynced(bytes: Buffer, place: { segment: number; offset: number }, salt: number): boolean {
  return evidence(bytes, place, salt) !== undefined;
}

function evidence(bytes: Buffer, place: { segment: number; offset: number }, salt: number): FrameHeader | undefined {
  let from = place;
  for (;;) {
    const frame = findFrame(bytes, from, salt);
    if (frame === undefined || isBefore(place, frame.synced)) return frame;
    from = { segment: place.segment, offset: frame.place.offset + 8 };
  }
}

async function zeroFrom(file: DiskFile, bytes: Buffer, offset: number): Promise<void> {
  let end = bytes.length;
  while (end > offset && bytes[end - 1] === 0) end--;
  if (end > offset) await file.write(offset, new Uint8Array(end - offset));
}

/** Walks the frames of the segments in order. */
class Scan {
  readonly replay = new Replay();
  /** End of the last sound frame in the segment read last. */
  offset = 0;
  /** Checksum of that frame. */
  crc = 0;
  readonly #salt: number;
  #previous = 0;

  constructor(salt: number) {
    this.#salt = salt;
  }

  /** `nextHeader` is that of the segment that follows, if one does. */
  segment(read: Read, nextHeader: SegmentHeader | undefined): void {
    const { segment, header } = read;
    if (header === undefined) this.#lost(segment, `the header of segment ${segment} is damaged`);
    if (this.#previous !== 0 && segment !== this.#previous + 1) {
      this.#lost(segment, `segment ${this.#previous + 1} is missing`);
    }
    if (this.#previous === 0 && header !== undefined) this.crc = header.previousCrc;
    this.#previous = segment;
    this.offset = segmentHeaderBytes;
    const salt = header?.salt ?? this.#salt;
    for (;;) {
      // Bytes behind the end that the next segment names are of a write that failed and was given up.
      if (nextHeader !== undefined && nextHeader.previousEnd === this.offset && nextHeader.previousCrc === this.crc)
        return;
      const frame = readFrame(read.bytes, { segment, offset: this.offset }, salt);
      if (frame !== undefined && frame.previousCrc === this.crc) {
        this.#take(read, frame);
        continue;
      }
      const next = evidence(read.bytes, { segment, offset: this.offset }, salt);
      if (next !== undefined) {
        this.#damage(read, next.place.offset, next.previousCrc);
        this.#take(read, next);
        continue;
      }
      if (nextHeader !== undefined) this.#damage(read, nextHeader.previousEnd, nextHeader.previousCrc);
      return;
    }
  }

  #take(read: Read, frame: FrameHeader): void {
    const end = frame.place.offset + frame.lengthBytes;
    const whole = this.replay.applyFrame(read.bytes.subarray(frame.place.offset, end), read.segment);
    if (!whole) this.#lost(read.segment, `a frame of segment ${read.segment} holds no sound records`);
    this.offset = aligned(end);
    this.crc = frame.crc;
  }

  /** From here to `end` the bytes are not what was acknowledged. What can be told apart is taken. */
  #damage(read: Read, end: number, crc: number): void {
    const header = readFrameHeader(read.bytes, { segment: read.segment, offset: this.offset });
    const isOneFrame =
      header !== undefined &&
      header.crc === crc &&
      header.previousCrc === this.crc &&
      aligned(this.offset + header.lengthBytes) === end;
    const told =
      isOneFrame &&
      this.replay.applyFrame(read.bytes.subarray(this.offset, this.offset + header.lengthBytes), read.segment);
    if (!told) this.#lost(read.segment, `segment ${read.segment} is damaged at byte ${this.offset}`);
    this.offset = end;
    this.crc = crc;
  }

  #lost(segment: number, reason: string): void {
    this.replay.markAll({ segment, reason });
  }
}
