// Chunks that are put to another box as frames on a TLS connection of their own (docs/decisions/028): a chunk is one
// frame, written as a head and then the chunk itself, and read into one buffer of which its data is a view. The
// connection carries nothing else, so that neither heartbeats nor changes ever wait behind content.

import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { ChunkPutDone } from "@nexus-federation/proto/peer.ts";
import { asBuffer } from "../base/bytes.ts";
import { readable } from "../base/readable.ts";
import { batchFrame, readField } from "./frames.ts";
import { type ChunkName, chunkBytesMax } from "./ports.ts";

/** ALPN name. */
export const chunksProtocol = "nexus-chunks/1";
/** Largest frame behind the handshake: a chunk, and what names it. */
export const chunkFrameBytesMax = chunkBytesMax + 1024;

const putField = 2;
const doneField = 3;
/** Tags of ChunkPut. */
const tags = { id: 8, log: 16, address: 26, data: 34 } as const;

export interface ChunkPut {
  /** The sender's name for it; the answer bears it. */
  id: number;
  chunk: ChunkName;
  /** A view of the frame. */
  data: Buffer;
}

/** What stands before the chunk's `sizeBytes` bytes. */
export function putHead(id: number, chunk: ChunkName, sizeBytes: number): Buffer {
  const name = new BinaryWriter().uint32(tags.id).uint32(id).uint32(tags.log).uint64(chunk.log);
  name.uint32(tags.address).bytes(chunk.address).uint32(tags.data).uint32(sizeBytes);
  const head = name.finish();
  return asBuffer(
    new BinaryWriter()
      .uint32((putField << 3) | 2)
      .uint32(head.length + sizeBytes)
      .raw(head)
      .finish(),
  );
}

/** Undefined when the frame is no put; throws when what is in it cannot be read. */
export function readPut(frame: Buffer): ChunkPut | undefined {
  const body = readField(frame, putField);
  if (body === undefined) return undefined;
  const reader = new BinaryReader(body);
  let id = 0;
  let log = 0;
  let address: Uint8Array = new Uint8Array(0);
  let data: Uint8Array = new Uint8Array(0);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === tags.id) id = reader.uint32();
    else if (tag === tags.log) log = Number(reader.uint64());
    else if (tag === tags.address) address = reader.bytes();
    else if (tag === tags.data) data = reader.bytes();
    else reader.skip(tag & 7, tag >>> 3);
  }
  if (!Number.isSafeInteger(log) || data.length > chunkBytesMax) return undefined;
  // The name outlives the frame.
  return { id, chunk: { log, address: Buffer.from(address) }, data: asBuffer(data) };
}

export function doneFrame(done: ChunkPutDone): Buffer {
  const body = ChunkPutDone.encode(done).finish();
  return batchFrame(doneField, [body], body.length);
}

/** Undefined when the frame is anything but an answer to a put. */
export function readDone(frame: Buffer): ChunkPutDone | undefined {
  const body = readField(frame, doneField);
  return body && readable(ChunkPutDone, body);
}
