// How snapshots and chunks are cut into frames, and put together again with their checks.

import { createHash } from "node:crypto";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { ChunkFrame, SnapshotFrame } from "@nexus-federation/proto/peer.ts";
import { asBuffer, equalBytes } from "../base/bytes.ts";
import { NexusError } from "../base/errors.ts";
import { bulkFrameBytes, type ChunkName, chunkBytesMax, type SnapshotStart } from "./ports.ts";

const none = Buffer.alloc(0);
const encodeSnapshot = (frame: SnapshotFrame) => asBuffer(SnapshotFrame.encode(frame).finish());
const encodeChunk = (frame: ChunkFrame) => asBuffer(ChunkFrame.encode(frame).finish());

/** Pieces of at most bulkFrameBytes, as views. */
function* cut(data: Uint8Array): Generator<Buffer> {
  for (let at = 0; at < data.length; at += bulkFrameBytes) yield asBuffer(data.subarray(at, at + bulkFrameBytes));
}

export async function* snapshotFrames(start: SnapshotStart, source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const frame = { header: undefined, data: none, last: false, digest: none };
  yield encodeSnapshot({ ...frame, header: start });
  const hash = createHash("sha256");
  for await (const piece of source) {
    hash.update(piece);
    for (const data of cut(piece)) yield encodeSnapshot({ ...frame, data });
  }
  yield encodeSnapshot({ ...frame, last: true, digest: hash.digest() });
}

/** The data after the header frame. Throws CORRUPT when it ends early or its digest does not match. */
export async function* snapshotData(frames: AsyncIterator<Buffer>): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  for (;;) {
    const next = await frames.next();
    if (next.done) throw new NexusError("CORRUPT", "the snapshot ended before its last frame");
    const { data, last, digest } = SnapshotFrame.decode(next.value);
    hash.update(data);
    if (data.length > 0) yield data;
    if (!last) continue;
    if (equalBytes(digest, hash.digest())) return;
    throw new NexusError("CORRUPT", "the snapshot does not match its digest");
  }
}

/** The name and the size in the first frame, data in all, `last` in the last. */
export function* chunkFrames(chunk: ChunkName, data: Uint8Array): Generator<Buffer> {
  const name = { address: asBuffer(chunk.address), log: chunk.log, size: data.length };
  const plain = { address: none, log: 0, size: 0, failure: undefined };
  let sent = 0;
  for (const piece of cut(data)) {
    sent += piece.length;
    yield encodeChunk({ ...plain, ...(sent === piece.length ? name : {}), data: piece, last: sent === data.length });
  }
  if (data.length === 0) yield encodeChunk({ ...plain, ...name, data: none, last: true });
}

/** Tags of ChunkFrame: all that a frame of content has. */
const tags = { address: 10, log: 16, data: 26, last: 32, size: 40 } as const;

/** As the generated code reads it, but `data` is a view: that copies each frame once more. */
export function decodeChunkFrame(bytes: Buffer): ChunkFrame {
  const reader = new BinaryReader(bytes);
  const frame: ChunkFrame = { address: none, log: 0, data: none, last: false, size: 0, failure: undefined };
  while (reader.pos < reader.len) {
    switch (reader.uint32()) {
      case tags.address:
        frame.address = Buffer.from(reader.bytes());
        break;
      case tags.log:
        frame.log = Number(reader.uint64());
        if (!Number.isSafeInteger(frame.log)) return ChunkFrame.decode(bytes);
        break;
      case tags.data:
        frame.data = asBuffer(reader.bytes());
        break;
      case tags.last:
        frame.last = reader.bool();
        break;
      case tags.size:
        frame.size = reader.uint32();
        break;
      default:
        return ChunkFrame.decode(bytes);
    }
  }
  return frame;
}

/** Puts a chunk together. Throws CORRUPT when it is not whole, TOO_LARGE above chunkBytesMax, or the sender's refusal. */
export class ChunkReader {
  #name: ChunkName | undefined;
  /** As announced; filled as frames come. */
  #data = none;
  #got = 0;
  #last = false;

  take(frame: ChunkFrame): void {
    if (this.#name === undefined) {
      this.#name = { log: frame.log, address: frame.address };
      if (frame.size > chunkBytesMax) throw new NexusError("TOO_LARGE", "a chunk is at most 1 MiB");
      this.#data = Buffer.allocUnsafeSlow(frame.size);
    }
    this.#last = frame.last;
    if (this.#got + frame.data.length > this.#data.length) {
      throw new NexusError("CORRUPT", "the chunk is longer than announced");
    }
    this.#data.set(frame.data, this.#got);
    this.#got += frame.data.length;
  }

  whole(): { name: ChunkName; data: Uint8Array } {
    const size = this.#data.length;
    if (this.#name === undefined || !this.#last || this.#got !== size) {
      throw new NexusError("CORRUPT", `the chunk ended after ${this.#got} of ${size} bytes`);
    }
    return { name: this.#name, data: this.#data };
  }
}
