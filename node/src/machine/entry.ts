import type { ChunkRef, FileInfo } from "@nexus-federation/proto/records.ts";
import { assert } from "../base/assert.ts";
import { asBuffer, noBytes } from "../base/bytes.ts";
import { nameOf } from "../tree/path.ts";
import { ByteReader, ByteWriter } from "./codec.ts";

export type EntryType = "file" | "directory" | "mount";
const types: readonly EntryType[] = ["file", "directory", "mount"];

/** What stands under a name. Content and chunks have keys of their own, so that stat and list do not read them. */
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
  metadata: Readonly<Record<string, string>>;
  /** Mounts only: the zone whose root is shown here. */
  target: string;
}

const writer = new ByteWriter();

export function encodeEntry(entry: Entry): Uint8Array {
  const type = types.indexOf(entry.type);
  assert(type >= 0, "an entry has a known type");
  writer
    .reset()
    .byte(type)
    .byte(entry.chunked ? 1 : 0);
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
  const chunked = reader.byte() === 1;
  const id = reader.varint();
  const revision = reader.varint();
  const createdMs = reader.varint();
  const modifiedMs = createdMs + reader.varint();
  const size = reader.varint();
  const etag = reader.bytes();
  const contentType = reader.text();
  const target = reader.text();
  const metadata = reader.done ? noMetadata : readPairs(reader);
  return { type, id, revision, createdMs, modifiedMs, size, etag, contentType, chunked, metadata, target };
}

export const noMetadata: Readonly<Record<string, string>> = Object.freeze({});

function readPairs(reader: ByteReader): Record<string, string> {
  const out: Record<string, string> = {};
  while (!reader.done) {
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
