import { assert } from "../base/assert.ts";
import { type BlobInfo, type BlobStore, blobKey } from "./blob-store.ts";

/** Chunks that somebody here still reads although no state refers to them any more. */
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
  isReferenced: (address: Uint8Array) => boolean;
  /** Wall time now. */
  nowMs: number;
  /** A chunk is ripe once nothing has referred to it, and nobody put it, for so long. */
  graceMs: number;
  /** Ripe ones of one look at most. */
  ripeMax: number;
  /** Chunks that are remembered as unreferenced at most; others are found by a later look. */
  rememberedMax: number;
  signal: AbortSignal;
}

/**
 * Finds chunks that nothing has referred to for a while. One look is not enough: a chunk that an old file named may be
 * read by somebody far away for some time after the file has changed.
 */
export class OrphanWatch {
  /** Wall time since when a chunk has been seen without a reference, by key. */
  #since = new Map<string, number>();

  /** One pass over the store; answers what is ripe. */
  async look(store: BlobStore, rules: OrphanRules): Promise<BlobInfo[]> {
    const { nowMs, graceMs, ripeMax, rememberedMax, signal } = rules;
    const ripe: BlobInfo[] = [];
    const since = new Map<string, number>();
    for await (const info of store.list()) {
      if (signal.aborted) return [];
      if (rules.isReferenced(info.address)) continue;
      const key = blobKey(info.address);
      const first = this.#since.get(key) ?? nowMs;
      if (since.size < rememberedMax) since.set(key, first);
      if (nowMs - Math.max(first, info.storedMs) >= graceMs && ripe.length < ripeMax) ripe.push(info);
    }
    this.#since = since;
    return ripe;
  }
}
