import { assert } from "../base/assert.ts";
import { type BlobStore, blobKey } from "./blob-store.ts";

/** Chunks that uploads and readers hold although no state refers to them yet, or no more. */
export class ChunkPins {
  readonly #counts = new Map<string, number>();

  /** Call the returned function once to let go. */
  pin(addresses: readonly Uint8Array[]): () => void {
    const keys = addresses.map(blobKey);
    for (const key of keys) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    let isHeld = true;
    return () => {
      assert(isHeld, "a pin is let go once");
      isHeld = false;
      for (const key of keys) {
        const count = (this.#counts.get(key) ?? 0) - 1;
        if (count > 0) this.#counts.set(key, count);
        else this.#counts.delete(key);
      }
    };
  }
  isPinned(address: Uint8Array): boolean {
    return this.#counts.has(blobKey(address));
  }
}

export interface OrphanRules {
  /** True when some state of this box refers to the chunk. Asked right before the deletion, in the same turn. */
  isReferenced: (address: Uint8Array) => boolean;
  pins: ChunkPins;
  /** Wall time now. */
  nowMs: number;
  /** Chunks put later than this long ago stay: their upload or entry may still be on its way. */
  minAgeMs: number;
  /** Deletions of one run at most. */
  deletionsMax: number;
  signal?: AbortSignal;
}

/** Deletes chunks that nothing refers to. Returns how many, and whether it saw all. */
export async function collectOrphans(
  store: BlobStore,
  rules: OrphanRules,
): Promise<{ deleted: number; deletedBytes: number; isComplete: boolean }> {
  let deleted = 0;
  let deletedBytes = 0;
  for await (const { address, sizeBytes, storedMs } of store.list()) {
    if (deleted >= rules.deletionsMax || rules.signal?.aborted) return { deleted, deletedBytes, isComplete: false };
    if (rules.nowMs - storedMs < rules.minAgeMs) continue;
    if (rules.pins.isPinned(address) || rules.isReferenced(address)) continue;
    await store.delete(address);
    deleted++;
    deletedBytes += sizeBytes;
  }
  return { deleted, deletedBytes, isComplete: true };
}
