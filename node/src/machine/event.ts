import type { Event } from "@nexus-federation/proto/records.ts";
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import { decodeEntry, infoOf } from "./entry.ts";

const eventKinds = [
  "created",
  "modified",
  "deleted",
  "moved",
  "metadata",
  "directory-created",
  "directory-deleted",
] as const;
export type EventKind = (typeof eventKinds)[number];

export interface StoredEvent {
  kind: EventKind;
  path: string;
  /** moved: where it was; empty otherwise. */
  fromPath: string;
  logTimeMs: number;
  /** Encoded entry. */
  entry: Uint8Array | undefined;
}

const writer = new ByteWriter();

export function encodeEvent(event: StoredEvent): Uint8Array {
  writer.reset().byte(eventKinds.indexOf(event.kind)).varint(event.logTimeMs).text(event.path).text(event.fromPath);
  if (event.entry) writer.bytes(event.entry);
  return writer.finish();
}

export function storedEvent(bytes: Uint8Array): StoredEvent {
  const reader = new ByteReader(bytes);
  const kind = eventKinds[reader.byte()];
  assert(kind !== undefined, "a stored event has a known kind");
  const logTimeMs = reader.varint();
  const path = reader.text();
  const fromPath = reader.text();
  return { kind, path, fromPath, logTimeMs, entry: reader.done ? undefined : reader.bytes() };
}

export function decodeEvent(bytes: Uint8Array, at: { index: number; ordinal: number; generation: number }): Event {
  const { kind, path, fromPath, logTimeMs, entry } = storedEvent(bytes);
  const info = entry && infoOf(decodeEntry(entry), path, at.generation);
  return { index: at.index, ordinal: at.ordinal, kind, path, fromPath, info, logTimeMs };
}
