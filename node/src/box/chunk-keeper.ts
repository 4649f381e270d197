import { NexusError } from "../base/errors.ts";
import { chunkIsSound } from "./content.ts";
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
        await this.#one(log, address, fromBoxes);
      }
    });
    await Promise.all(workers);
  }

  async #one(log: number, address: Uint8Array, fromBoxes: readonly string[]): Promise<void> {
    let why = "no box was named";
    for (const box of fromBoxes) {
      const found = await this.#transfer.getChunk(box, { log, address }, {});
      if (found.kind === "data" && chunkIsSound(this.#hashing, address, found.data)) {
        return this.#store.put(address, found.data);
      }
      why = found.kind === "refused" ? found.refusal.message : `box ${box} does not hold it soundly`;
    }
    throw new NexusError("ZONE_UNAVAILABLE", `a chunk of log ${log} cannot be had: ${why}`);
  }
}
