import { NexusError } from "../base/errors.ts";
import { chunkIsSound } from "./content.ts";
import type { ChunkTransfer, Hashing } from "./ports.ts";

/** A chunk from the first of the boxes that gives it as it should be; ZONE_UNAVAILABLE, about `what`, when none does. */
export async function fetchChunk(
  { transfer, hashing }: { transfer: ChunkTransfer; hashing: Hashing },
  chunk: { log: number; address: Uint8Array; boxes: readonly string[]; what: string },
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const { log, address, boxes, what } = chunk;
  let why = "no box that holds it is known";
  for (const box of boxes) {
    const found = await transfer.getChunk(box, { log, address }, { signal });
    if (found.kind === "data" && chunkIsSound(hashing, address, found.data)) return found.data;
    why = found.kind === "refused" ? found.refusal.message : `box ${box} does not hold it soundly`;
  }
  throw new NexusError("ZONE_UNAVAILABLE", `${what} cannot be had: ${why}`);
}
