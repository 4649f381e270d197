import { createHash } from "node:crypto";
import { assert } from "../base/assert.ts";
import { addressOf, chunkBytesMax } from "./blob-store.ts";

/** One piece of a content. `bytes` are never changed afterwards. */
export interface Chunk {
  address: Uint8Array;
  bytes: Uint8Array;
}

export interface ContentDigest {
  /** SHA-256 of the whole content. */
  etag: Uint8Array;
  sizeBytes: number;
}

/** Cuts a stream into chunks of equal size (the last may be shorter). Holds one chunk at most. */
export class Chunker {
  readonly #whole = createHash("sha256");
  readonly #chunkBytes: number;
  #buffer: Uint8Array;
  #filled = 0;
  #sizeBytes = 0;

  constructor(chunkBytes: number = chunkBytesMax) {
    assert(chunkBytes > 0 && chunkBytes <= chunkBytesMax, "a chunk has 1 byte to 1 MiB");
    this.#chunkBytes = chunkBytes;
    this.#buffer = new Uint8Array(chunkBytes);
  }

  /** The chunks that `bytes` completes. Reads `bytes` as far as they are asked for. */
  *push(bytes: Uint8Array): Iterable<Chunk> {
    this.#sizeBytes += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const count = Math.min(bytes.length - at, this.#chunkBytes - this.#filled);
      const part = bytes.subarray(at, at + count);
      this.#whole.update(part);
      this.#buffer.set(part, this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled === this.#chunkBytes) yield this.#take();
    }
  }

  /** The rest, if there is any, and what is known of the whole. Call it once. */
  finish(): ContentDigest & { rest: Chunk | undefined } {
    const rest = this.#filled > 0 ? this.#take() : undefined;
    return { rest, etag: this.#whole.digest(), sizeBytes: this.#sizeBytes };
  }

  #take(): Chunk {
    const bytes = this.#buffer.subarray(0, this.#filled);
    this.#buffer = new Uint8Array(this.#chunkBytes);
    this.#filled = 0;
    return { address: addressOf(bytes), bytes };
  }
}

export interface ChunkedContent extends ContentDigest {
  /** In order. */
  chunks: { address: Uint8Array; sizeBytes: number }[];
}

/**
 * Cuts a stream and hands each chunk to `put`, at most `parallelPuts` of them at a time: memory is bounded by that many
 * chunks and two more. Resolves when all are put; the first failure stops reading.
 */
export async function chunkStream(
  source: AsyncIterable<Uint8Array>,
  put: (chunk: Chunk) => Promise<void>,
  options: { parallelPuts: number; chunkBytes?: number },
): Promise<ChunkedContent> {
  const chunker = new Chunker(options.chunkBytes);
  const chunks: ChunkedContent["chunks"] = [];
  const puts = new Set<Promise<void>>();
  const give = async (chunk: Chunk) => {
    chunks.push({ address: chunk.address, sizeBytes: chunk.bytes.length });
    if (puts.size >= options.parallelPuts) await Promise.race(puts);
    const mine = put(chunk).then(() => void puts.delete(mine));
    puts.add(mine);
    mine.catch(() => {});
  };
  for await (const bytes of source) for (const chunk of chunker.push(bytes)) await give(chunk);
  const { rest, etag, sizeBytes } = chunker.finish();
  if (rest !== undefined) await give(rest);
  await Promise.all(puts);
  return { etag, sizeBytes, chunks };
}
