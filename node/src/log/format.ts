// Bytes of a segment. All integers little-endian; u64 as two u32, low first.
//
//   segment  header (64 bytes, written together with the first frame), then frames, each 8-byte aligned, then zeroes
//   frame    one durable write or part of it: header (32 bytes), then records
//   record   what one group wrote: header (32 bytes) with a checksum of its own, then the body
//
// A frame's checksum is seeded with that of the frame before it, so frames cannot be lost, swapped or left over. It also
// tells up to where the log was durable when it was written: a damaged frame before such a place was acknowledged.

import { crc32 } from "node:zlib";

/** Raised when older code could not read what newer code writes. */
export const logFormatVersion = 1;

export const segmentHeaderBytes = 64;
export const frameHeaderBytes = 32;
export const recordHeaderBytes = 32;
const segmentMagic = 0x474f4c4e;
const frameMagic = 0x4d52464e;
const frameMagicBytes = Buffer.from([0x4e, 0x46, 0x52, 0x4d]);

/** A place in the log: segment number and byte within it. */
export interface Place {
  segment: number;
  offset: number;
}

export function isBefore(a: Place, b: Place): boolean {
  return a.segment < b.segment || (a.segment === b.segment && a.offset < b.offset);
}

export interface SegmentHeader {
  version: number;
  segment: number;
  /** Mixed into every checksum, so that content chosen by a client cannot pose as a frame. */
  salt: number;
  /** Checksum and end of the last frame of the segment before; 0 in the first. */
  previousCrc: number;
  previousEnd: number;
}

export function writeSegmentHeader(out: Buffer, header: SegmentHeader): void {
  out.fill(0, 0, segmentHeaderBytes);
  out.writeUInt32LE(segmentMagic, 0);
  out.writeUInt32LE(header.version, 8);
  out.writeUInt32LE(header.segment, 12);
  out.writeUInt32LE(header.salt, 16);
  out.writeUInt32LE(header.previousCrc, 20);
  out.writeUInt32LE(header.previousEnd, 24);
  out.writeUInt32LE(crc32(out.subarray(8, segmentHeaderBytes)), 4);
}

/** Undefined when it is damaged or was never written. */
export function readSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < segmentHeaderBytes || bytes.readUInt32LE(0) !== segmentMagic) return undefined;
  if (bytes.readUInt32LE(4) !== crc32(bytes.subarray(8, segmentHeaderBytes))) return undefined;
  return {
    version: bytes.readUInt32LE(8),
    segment: bytes.readUInt32LE(12),
    salt: bytes.readUInt32LE(16),
    previousCrc: bytes.readUInt32LE(20),
    previousEnd: bytes.readUInt32LE(24),
  };
}

export interface FrameHeader {
  /** Of the frame without padding, header included. */
  lengthBytes: number;
  previousCrc: number;
  crc: number;
  place: Place;
  /** Everything before this place was durable when the frame was written. */
  synced: Place;
}

/** Fills in the header of the frame that is `frame`, whose records are already in place. Returns its checksum. */
export function sealFrame(frame: Buffer, header: Omit<FrameHeader, "crc" | "lengthBytes"> & { salt: number }): number {
  frame.writeUInt32LE(frameMagic, 0);
  frame.writeUInt32LE(frame.length, 8);
  frame.writeUInt32LE(header.previousCrc, 12);
  frame.writeUInt32LE(header.place.segment, 16);
  frame.writeUInt32LE(header.place.offset, 20);
  frame.writeUInt32LE(header.synced.segment, 24);
  frame.writeUInt32LE(header.synced.offset, 28);
  const crc = crc32(frame.subarray(8), seed(header.previousCrc, header.salt));
  frame.writeUInt32LE(crc, 4);
  return crc;
}

/** The frame that starts at `place` in the segment's bytes, if there is an undamaged one. */
export function readFrame(segment: Buffer, place: Place, salt: number): FrameHeader | undefined {
  const header = readFrameHeader(segment, place);
  if (header === undefined) return undefined;
  const body = segment.subarray(place.offset + 8, place.offset + header.lengthBytes);
  return crc32(body, seed(header.previousCrc, salt)) === header.crc ? header : undefined;
}

/** A header that names its own place and a length that fits; the checksum is not looked at. */
export function readFrameHeader(segment: Buffer, place: Place): FrameHeader | undefined {
  const { offset } = place;
  if (offset + frameHeaderBytes > segment.length || segment.readUInt32LE(offset) !== frameMagic) return undefined;
  const lengthBytes = segment.readUInt32LE(offset + 8);
  if (lengthBytes < frameHeaderBytes || offset + lengthBytes > segment.length) return undefined;
  if (segment.readUInt32LE(offset + 16) !== place.segment || segment.readUInt32LE(offset + 20) !== offset) {
    return undefined;
  }
  return {
    lengthBytes,
    crc: segment.readUInt32LE(offset + 4),
    previousCrc: segment.readUInt32LE(offset + 12),
    place,
    synced: { segment: segment.readUInt32LE(offset + 24), offset: segment.readUInt32LE(offset + 28) },
  };
}

/** The first undamaged frame at or after `from`. */
export function findFrame(segment: Buffer, from: Place, salt: number): FrameHeader | undefined {
  let at = segment.indexOf(frameMagicBytes, from.offset);
  while (at !== -1) {
    if (at % 8 === 0) {
      const header = readFrame(segment, { segment: from.segment, offset: at }, salt);
      if (header !== undefined) return header;
    }
    at = segment.indexOf(frameMagicBytes, at + 1);
  }
  return undefined;
}

export function aligned(bytes: number): number {
  return (bytes + 7) & ~7;
}

function seed(previousCrc: number, salt: number): number {
  return (previousCrc ^ salt) >>> 0;
}

export function segmentName(segment: number): string {
  return `${segment.toString().padStart(10, "0")}.seg`;
}

/** Undefined for a file that is not ours. */
export function segmentOfName(name: string): number | undefined {
  return /^[0-9]{10}\.seg$/.test(name) ? Number(name.slice(0, 10)) : undefined;
}
