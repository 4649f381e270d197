import type { DropChunks } from "@nexus-federation/proto/command.ts";
import type { ChunkRef } from "@nexus-federation/proto/records.ts";
import { assert } from "../base/assert.ts";
import { hexOf } from "../base/bytes.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import { decodeChunks } from "./entry.ts";
import { addressOfChunkKey, after, chunkKey, chunkListKey, chunkPrefix, droppedKey, droppedOrderKey } from "./keys.ts";
import type { MachineState } from "./state.ts";

/** First byte of a chunk's address: how the digest after it was made. */
export const sha256Id = 1;
/** Bytes of a chunk's address: the algorithm's id and the digest. */
export const addressBytes = 33;

/** The address of a chunk with this SHA-256. */
export function addressOfDigest(sha256: Uint8Array): Uint8Array {
  assert(sha256.length === addressBytes - 1, "a SHA-256 has 32 bytes");
  const address = new Uint8Array(addressBytes);
  address[0] = sha256Id;
  address.set(sha256, 1);
  return address;
}

/** Why these chunks cannot make up a file of `size` bytes, or undefined. */
export function chunksProblem(state: MachineState, chunks: readonly ChunkRef[], size: number): Refusal | undefined {
  let sum = 0;
  for (const chunk of chunks) {
    if (chunk.address.length !== addressBytes || chunk.address[0] !== sha256Id) {
      return refuse(
        "INVALID",
        `chunks: an address is 1 (sha-256) and 32 bytes of digest, ${hexOf(chunk.address.subarray(0, 40))} came`,
      );
    }
    if (chunk.size === 0 || chunk.size > state.limits.chunkBytesMax) {
      return refuse("INVALID", `chunks: a chunk has 1 to ${state.limits.chunkBytesMax} bytes, ${chunk.size} came`);
    }
    sum += chunk.size;
  }
  return sum === size ? undefined : refuse("INVALID", `size: the chunks add up to ${sum} bytes, ${size} came`);
}

/**
 * Counts the references of a new file. Refused when a chunk was dropped since the upload began at `uploadIndex`: its
 * bytes may be gone. What a file still refers to is safe whenever it was uploaded.
 */
export function referChunks(
  state: MachineState,
  chunks: readonly ChunkRef[],
  uploadIndex: number,
): Refusal | undefined {
  for (const chunk of chunks) {
    const key = chunkKey(chunk.address);
    const count = countOf(state.overlay.get(key));
    if (count === 0) {
      const dropped = state.overlay.get(droppedKey(chunk.address));
      const droppedAt = Math.max(state.counters.droppedFloor, dropped ? new ByteReader(dropped).varint() : 0);
      if (uploadIndex <= droppedAt) return droppedSince(chunk, { uploadIndex, droppedAt });
    }
    state.overlay.put(key, new ByteWriter().varint(count + 1).finish());
  }
  return undefined;
}

function droppedSince(chunk: ChunkRef, at: { uploadIndex: number; droppedAt: number }): Refusal {
  const text = `chunk ${hexOf(chunk.address)} was dropped at ${at.droppedAt}, the upload began at ${at.uploadIndex}; push it again`;
  return refuse("COPIES_UNAVAILABLE", text, { details: { reason: "chunks-dropped", address: hexOf(chunk.address) } });
}

/** Takes back the references of file `id` and forgets its list. */
export function releaseChunks(state: MachineState, id: number): void {
  const listKey = chunkListKey(id);
  for (const chunk of chunkListOf(state, id)) {
    const key = chunkKey(chunk.address);
    const count = countOf(state.overlay.get(key));
    assert(count > 0, "a chunk in a file's list is counted");
    if (count === 1) state.overlay.delete(key);
    else state.overlay.put(key, new ByteWriter().varint(count - 1).finish());
  }
  state.overlay.delete(listKey);
}

/** One more reference to each chunk of an existing file, for a copy of it. */
export function referAgain(state: MachineState, chunks: readonly ChunkRef[]): void {
  for (const chunk of chunks) {
    const key = chunkKey(chunk.address);
    const count = countOf(state.overlay.get(key));
    assert(count > 0, "a chunk in a file's list is counted");
    state.overlay.put(key, new ByteWriter().varint(count + 1).finish());
  }
}

export function chunkListOf(state: MachineState, id: number): ChunkRef[] {
  const bytes = state.overlay.get(chunkListKey(id));
  return bytes ? decodeChunks(bytes) : [];
}

/** Drops those that nothing refers to, and remembers when, within a bounded window. */
export function dropChunks(state: MachineState, operation: DropChunks): Refusal | undefined {
  const { counters, overlay, limits } = state;
  if (operation.addresses.length > limits.droppedChunksMax) {
    return refuse("TOO_LARGE", `addresses: at most ${limits.droppedChunksMax} chunks are dropped by one command`);
  }
  const dropped: Uint8Array[] = [];
  for (const address of operation.addresses) {
    if (address.length !== addressBytes)
      return refuse("INVALID", `addresses: an address has ${addressBytes} bytes, ${address.length} came`);
    if (overlay.get(chunkKey(address))) continue;
    const at = new ByteWriter().varint(state.index).finish();
    overlay.put(droppedKey(address), at);
    overlay.put(droppedOrderKey(counters.droppedNext++), new ByteWriter().varint(state.index).bytes(address).finish());
    dropped.push(address);
  }
  while (counters.droppedNext - counters.droppedFirst > limits.droppedChunksMax) forgetOldestDrop(state);
  if (dropped.length > 0) state.effects.push({ kind: "chunks-dropped", addresses: dropped });
  return undefined;
}

function forgetOldestDrop(state: MachineState): void {
  const { counters, overlay } = state;
  const orderKey = droppedOrderKey(counters.droppedFirst++);
  const bytes = overlay.get(orderKey);
  assert(bytes, "every sequence in the window of dropped chunks is stored");
  const reader = new ByteReader(bytes);
  const index = reader.varint();
  const address = reader.bytes();
  overlay.delete(orderKey);
  const latest = overlay.get(droppedKey(address));
  if (latest && new ByteReader(latest).varint() === index) overlay.delete(droppedKey(address));
  counters.droppedFloor = Math.max(counters.droppedFloor, index);
}

/** Every chunk that some file refers to. */
export function* referencedChunks(state: MachineState): Generator<Uint8Array, void, void> {
  for (const { key } of state.overlay.scan({ from: chunkPrefix, to: after(chunkPrefix) })) yield addressOfChunkKey(key);
}

/** True when some file refers to the chunk. */
export function refersToChunk(state: MachineState, address: Uint8Array): boolean {
  return countOf(state.overlay.get(chunkKey(address))) > 0;
}

function countOf(bytes: Uint8Array | undefined): number {
  return bytes ? new ByteReader(bytes).varint() : 0;
}
