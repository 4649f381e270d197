// Bytes of the witness's record files. All integers little-endian; u64 as two u32, low first.
//
//   file   a snapshot frame at offset 0, then change frames, then zeroes or remains of the file's former life
//   frame  header (32 bytes): magic, crc32 of all that follows, sequence u64, kind u32, entries u32, 8 zero bytes;
//          then entries of 96 bytes each
//
// Sequences rise by one a frame, over both files, so remains of a former life are always lower.
import { crc32 } from "node:zlib";
import type { WitnessRecord } from "../raft/witness.ts";

/** Part of the magic; a file of another version is refused. */
const recordsFormatVersion = 1;
export const headerBytes = 32;
export const entryBytes = 96;
const magic = 0x6e785700 | recordsFormatVersion;
/** In place of the magic: the file was superseded. */
const erasedMagic = 0x64616564;

export const FrameKind = { Changes: 1, Snapshot: 2 } as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

/** 16 bytes of an incarnation as a latin1 string, so that `===` compares it. */
export type IncarnationKey = string;

export interface GroupRecord {
  readonly log: number;
  readonly generation: number;
  readonly record: WitnessRecord<IncarnationKey>;
}

export interface Change {
  readonly incarnation: IncarnationKey;
  /** Undefined removes the record. */
  readonly group: GroupRecord | undefined;
}

export interface Frame {
  readonly kind: FrameKind;
  readonly sequence: number;
  readonly changes: readonly Change[];
  readonly lengthBytes: number;
}

export function frameBytes(entries: number): number {
  return headerBytes + entries * entryBytes;
}

export function writeFrame(frame: { kind: FrameKind; sequence: number; changes: readonly Change[] }): Buffer {
  const out = Buffer.alloc(frameBytes(frame.changes.length));
  out.writeUInt32LE(magic, 0);
  writeLong(out, 8, frame.sequence);
  out.writeUInt32LE(frame.kind, 16);
  out.writeUInt32LE(frame.changes.length, 20);
  let at = headerBytes;
  for (const change of frame.changes) {
    writeEntry(out, at, change);
    at += entryBytes;
  }
  out.writeUInt32LE(crc32(out.subarray(8)), 4);
  return out;
}

/** Undefined when there is no whole, undamaged frame at `at`. */
export function readFrame(file: Buffer, at: number): Frame | undefined {
  if (at + headerBytes > file.length || file.readUInt32LE(at) !== magic) return undefined;
  const entries = file.readUInt32LE(at + 20);
  const end = at + frameBytes(entries);
  if (end > file.length || crc32(file.subarray(at + 8, end)) !== file.readUInt32LE(at + 4)) return undefined;
  const kind = file.readUInt32LE(at + 16);
  if (kind !== FrameKind.Changes && kind !== FrameKind.Snapshot) return undefined;
  const changes: Change[] = [];
  for (let k = 0; k < entries; k++) changes.push(readEntry(file, at + frameBytes(k)));
  return { kind, sequence: readLong(file, at + 8), changes, lengthBytes: end - at };
}

/** Whether a frame of another format version stands at the start of the file. */
export function isOtherVersion(file: Buffer): boolean {
  return file.length >= 4 && file.readUInt32LE(0) >>> 8 === magic >>> 8 && file.readUInt32LE(0) !== magic;
}

export function erasedHeader(): Buffer {
  const out = Buffer.alloc(headerBytes);
  out.writeUInt32LE(erasedMagic, 0);
  return out;
}

function writeEntry(out: Buffer, at: number, { incarnation, group }: Change): void {
  out.write(incarnation, at + 16, 16, "latin1");
  if (group === undefined) return;
  const { votedFor, engHolder, term, engTerm, engEpoch } = group.record;
  out[at] = 1;
  out[at + 1] = (votedFor === undefined ? 0 : 1) | (engHolder === undefined ? 0 : 2);
  out.writeUInt32LE(group.generation, at + 4);
  writeLong(out, at + 8, group.log);
  writeLong(out, at + 32, term);
  writeLong(out, at + 40, engTerm);
  out.writeUInt32LE(engEpoch, at + 48);
  if (votedFor !== undefined) out.write(votedFor, at + 56, 16, "latin1");
  if (engHolder !== undefined) out.write(engHolder, at + 72, 16, "latin1");
}

function readEntry(file: Buffer, at: number): Change {
  const key = (from: number): IncarnationKey => file.toString("latin1", from, from + 16);
  const incarnation = key(at + 16);
  if (file[at] !== 1) return { incarnation, group: undefined };
  const flags = file[at + 1]!;
  const record: WitnessRecord<IncarnationKey> = {
    incarnation,
    term: readLong(file, at + 32),
    votedFor: (flags & 1) === 0 ? undefined : key(at + 56),
    engTerm: readLong(file, at + 40),
    engEpoch: file.readUInt32LE(at + 48),
    engHolder: (flags & 2) === 0 ? undefined : key(at + 72),
  };
  return { incarnation, group: { log: readLong(file, at + 8), generation: file.readUInt32LE(at + 4), record } };
}

function writeLong(out: Buffer, at: number, value: number): void {
  out.writeUInt32LE(value % 2 ** 32, at);
  out.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

function readLong(file: Buffer, at: number): number {
  return file.readUInt32LE(at) + file.readUInt32LE(at + 4) * 2 ** 32;
}
