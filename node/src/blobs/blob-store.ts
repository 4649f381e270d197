// Content of objects, cut into chunks that are named by what they hold.
//
// The problem: content is too large for log entries, yet a member may acknowledge an entry only when it holds every byte
// that the entry refers to, over power cuts, and must never serve bytes that rotted. Files named by upload would need a
// table that says which are complete. So a chunk's name is its digest: it is there whole or not at all, writing it twice
// is harmless, every read proves itself. What is there is known in memory, because the write path asks synchronously.

import { createHash } from "node:crypto";
import { assert } from "../base/assert.ts";
import { asBuffer, equalBytes, hexOf } from "../base/bytes.ts";
import { NexusError } from "../base/errors.ts";
import { addressBytes, addressOfDigest, sha256Id } from "../machine/chunks.ts";
import { defaultLimits } from "../machine/limits.ts";

/** Bytes of a chunk at most. */
export const chunkBytesMax = defaultLimits.chunkBytesMax;

export interface BlobInfo {
  address: Uint8Array;
  sizeBytes: number;
  /** Wall time of the last put. */
  storedMs: number;
}

/**
 * Who names and stores a chunk in one breath has hashed it already: "hashed" says so, and it is not hashed again. What
 * comes from elsewhere is always hashed.
 */
export type ChunkProof = "hashed" | "none";

/** Chunks by address: algorithm byte, then the digest. */
export interface BlobStore {
  /**
   * Durable when resolved. INVALID when the bytes are not those of the address; DISK_FULL. Putting again renews the age.
   * The bytes must not change meanwhile.
   */
  put(address: Uint8Array, bytes: Uint8Array, proof?: ChunkProof): Promise<void>;
  /** Undefined when absent. CORRUPT when the stored bytes are not those of the address; the chunk is then absent. */
  get(address: Uint8Array): Promise<Uint8Array | undefined>;
  /** True from the moment a put has become durable. */
  has(address: Uint8Array): boolean;
  /** An absent chunk is no error. */
  delete(address: Uint8Array): Promise<void>;
  /**
   * Deletes a chunk that was listed if it is an orphan and was not put again since. `isOrphan` is asked in the turn in
   * which the chunk ceases to be there. True when it was deleted.
   */
  collect(info: BlobInfo, isOrphan: () => boolean): Promise<boolean>;
  /** Everything that is there when it is read, in any order. */
  list(): AsyncIterable<BlobInfo>;
}

/** The address that content of these bytes has. */
export function addressOf(bytes: Uint8Array): Uint8Array {
  return addressOfDigest(createHash("sha256").update(bytes).digest());
}

/** What every store asks of a put: throws TOO_LARGE or, when the bytes are not those of the address, INVALID. */
export function checkChunk(address: Uint8Array, bytes: Uint8Array, proof: ChunkProof = "none"): void {
  if (bytes.length > chunkBytesMax) {
    throw new NexusError("TOO_LARGE", `A chunk of ${bytes.length} bytes: at most ${chunkBytesMax}.`);
  }
  if (proof === "none" && !equalBytes(addressOf(bytes), address)) {
    throw new NexusError("INVALID", `The ${bytes.length} bytes given for chunk ${hexOf(address)} are not its content.`);
  }
}

/** The address as a string for maps: one character a byte. */
export function blobKey(address: Uint8Array): string {
  assert(address.length === addressBytes && address[0] === sha256Id, "a chunk address is 01 and a SHA-256");
  return asBuffer(address).toString("latin1");
}
