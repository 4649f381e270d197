import { fetchChunk } from "./chunk-fetch.ts";
import type { ChunkStore, ChunkTransfer, Hashing } from "./ports.ts";

/** Chunks fetched at once for one log entry. */
const fetchesMax = 4;

/** Gets the chunks that an entry refers to before the entry is acknowledged (group/: ChunkKeeper). */
export class ChunkPuller {
  readonly #store: ChunkStore;
  readonly #transfer: ChunkTransfer;
  readonly #hashing: Hashing;

  constructor(needs: { store: ChunkStore; transfer: ChunkTransfer; hashing: Hashing }) {
    this.#store = needs.store;
    this.#transfer = needs.transfer;
    this.#hashing = needs.hashing;
  }

  has(address: Uint8Array): boolean {
    return this.#store.has(address);
  }

  async fetch(log: number, addresses: readonly Uint8Array[], fromBoxes: readonly string[]): Promise<void> {
    const open = addresses.filter((address) => !this.#store.has(address));
    const workers = Array.from({ length: Math.min(fetchesMax, open.length) }, async () => {
      for (let address = open.pop(); address !== undefined; address = open.pop()) {
        const needs = { transfer: this.#transfer, hashing: this.#hashing };
        const chunk = { log, address, boxes: fromBoxes, what: `a chunk of log ${log}` };
        await this.#store.put(address, await fetchChunk(needs, chunk), "hashed");
      }
    });
    await Promise.all(workers);
  }
}
