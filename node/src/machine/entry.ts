import type { ChunkRef, FileInfo } from "@nexus-federation/proto/records.ts";
import { assert } from "../base/assert.ts";
import { asBuffer, noBytes } from "../base/bytes.ts";
import { nameOf } from "../tree/path.ts";
import { ByteReader, ByteWriter } from "./codec.ts";

export type EntryType = "file" | "directory" | "mount";
const types: readonly EntryType[] = ["file", "directory", "mount"];

/** Content up to this size lies in the entry's row, behind it; larger has a key of its own, so that list does not read it. */
export const besideBytesMax = 1024;

/** What stands under a name. */
export interface Entry {
  type: EntryType;
  /** Names the file's content or the directory's entries. Stays when the entry is renamed. */
  id: number;
  /** Index of the log entry that last changed it. */
  revision: number;
  /** Log time. Invariant: createdMs <= modifiedMs. */
  createdMs: number;
  modifiedMs: number;
  /** Bytes of content. */
  size: number;
  /** sha-256 of the content; empty unless a file. */
  etag: Uint8Array;
  contentType: string;
  /** The content is a list of chunks, not inline. */
  chunked: boolean;
  /** The content lies in the entry's row. Not in events and answers, which have the entry alone. */
  beside: boolean;
  metadata: Readonly<Record<string, string>>;
  /** Mounts only: the zone whose root is shown here. */
  target: string;
}

const writer = new ByteWriter();
/** Second byte of an encoded entry: where its content is. */
const apart = 0;
const inChunks = 1;
const behind = 2;

/** The entry without its content, as events and answers have it. */
export function encodeEntry(entry: Entry): Uint8Array {
  const type = types.indexOf(entry.type);
  assert(type >= 0, "an entry has a known type");
  writer
    .reset()
    .byte(type)
    .byte(entry.chunked ? inChunks : apart);
  writer
    .varint(entry.id)
    .varint(entry.revision)
    .varint(entry.createdMs)
    .varint(entry.modifiedMs - entry.createdMs);
  writer.varint(entry.size).bytes(entry.etag).text(entry.contentType).text(entry.target);
  for (const key in entry.metadata) writer.text(key).text(entry.metadata[key]!);
  return writer.finish();
}

export function decodeEntry(bytes: Uint8Array): Entry {
  const reader = new ByteReader(bytes);
  const type = types[reader.byte()];
  assert(type !== undefined, "a stored entry has a known type");
  const place = reader.byte();
  const id = reader.varint();
  const revision = reader.varint();
  const createdMs = reader.varint();
  const modifiedMs = createdMs + reader.varint();
  const size = reader.varint();
  const etag = reader.bytes();
  const contentType = reader.text();
  const target = reader.text();
  const beside = place === behind;
  const end = beside ? bytes.length - size : bytes.length;
  const metadata = reader.at >= end ? noMetadata : readPairs(reader, end);
  const chunked = place === inChunks;
  return { type, id, revision, createdMs, modifiedMs, size, etag, contentType, chunked, beside, metadata, target };
}

/** The row of an entry with its content behind it. */
export function rowWith(encoded: Uint8Array, content: Uint8Array): Uint8Array {
  const row = Buffer.allocUnsafe(encoded.length + content.length);
  row.set(encoded, 0);
  row[1] = behind;
  row.set(content, encoded.length);
  return row;
}

/** What `encodeEntry` made of the entry of a row. */
export function encodedIn(row: Uint8Array, entry: Entry): Uint8Array {
  if (!entry.beside) return row;
  const encoded = Uint8Array.prototype.slice.call(row, 0, row.length - entry.size);
  encoded[1] = apart;
  return encoded;
}

/** The content in a row that has it. */
export function contentIn(row: Uint8Array, entry: Entry): Uint8Array {
  assert(entry.beside, "content is looked for where it is");
  return row.subarray(row.length - entry.size);
}

export const noMetadata: Readonly<Record<string, string>> = Object.freeze({});

function readPairs(reader: ByteReader, end: number): Record<string, string> {
  const out: Record<string, string> = {};
  while (reader.at < end) {
    const key = reader.text();
    out[key] = reader.text();
  }
  return out;
}

export function infoOf(entry: Entry, path: string, generation: number): FileInfo {
  return {
    name: nameOf(path),
    path,
    type: entry.type,
    revision: entry.revision,
    etag: asBuffer(entry.etag),
    size: entry.size,
    createdMs: entry.createdMs,
    modifiedMs: entry.modifiedMs,
    contentType: entry.contentType,
    metadata: entry.metadata as Record<string, string>,
    chunks: [],
    unavailable: false,
    generation,
  };
}

/** The root has no name to stand under: it is always there and never changes. */
export const rootEntry: Entry = Object.freeze({
  type: "directory",
  id: 1,
  revision: 0,
  createdMs: 0,
  modifiedMs: 0,
  size: 0,
  etag: noBytes,
  contentType: "",
  chunked: false,
  beside: false,
  metadata: noMetadata,
  target: "",
});

export function encodeChunks(chunks: readonly ChunkRef[]): Uint8Array {
  writer.reset();
  for (const chunk of chunks) writer.bytes(chunk.address).varint(chunk.size);
  return writer.finish();
}

export function decodeChunks(bytes: Uint8Array): ChunkRef[] {
  const reader = new ByteReader(bytes);
  const out: ChunkRef[] = [];
  while (!reader.done) out.push({ address: asBuffer(reader.bytes()), size: reader.varint() });
  return out;
}

/** The file's content lies under a key of its own. */
export function hasContentKey(entry: Entry): boolean {
  return !entry.chunked && !entry.beside && entry.size > 0;
}
