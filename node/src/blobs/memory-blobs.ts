import { equalBytes, hexOf } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { NexusError } from "../base/errors.ts";
import { addressOf, type BlobInfo, type BlobStore, blobKey, type ChunkProof, checkChunk } from "./blob-store.ts";

/** Chunks in memory: for tests and the simulator. */
export class MemoryBlobs implements BlobStore {
  readonly #clock: Pick<Clock, "wallMs">;
  readonly #chunks = new Map<string, BlobInfo & { bytes: Uint8Array }>();

  constructor(clock: Pick<Clock, "wallMs">) {
    this.#clock = clock;
  }

  async put(address: Uint8Array, bytes: Uint8Array, proof?: ChunkProof): Promise<void> {
    const key = blobKey(address);
    checkChunk(address, bytes, proof);
    const storedMs = this.#clock.wallMs();
    this.#chunks.set(key, { address, bytes: Uint8Array.from(bytes), sizeBytes: bytes.length, storedMs });
  }

  async get(address: Uint8Array): Promise<Uint8Array | undefined> {
    const found = this.#chunks.get(blobKey(address));
    if (found === undefined) return undefined;
    if (equalBytes(addressOf(found.bytes), address)) return found.bytes;
    this.#chunks.delete(blobKey(address));
    throw new NexusError("CORRUPT", `Chunk ${hexOf(address)} was damaged and is set aside: fetch it again.`);
  }

  has(address: Uint8Array): boolean {
    return this.#chunks.has(blobKey(address));
  }
  async delete(address: Uint8Array): Promise<void> {
    this.#chunks.delete(blobKey(address));
  }
  async collect({ address, storedMs }: BlobInfo, isOrphan: () => boolean): Promise<boolean> {
    const key = blobKey(address);
    if (this.#chunks.get(key)?.storedMs !== storedMs || !isOrphan()) return false;
    return this.#chunks.delete(key);
  }
  async *list(): AsyncIterable<BlobInfo> {
    for (const { address, sizeBytes, storedMs } of [...this.#chunks.values()]) yield { address, sizeBytes, storedMs };
  }

  /** Damages a stored chunk. */
  flipBit(address: Uint8Array): void {
    const bytes = this.#chunks.get(blobKey(address))?.bytes;
    if (bytes?.length) bytes[0] = bytes[0]! ^ 1;
  }
}
