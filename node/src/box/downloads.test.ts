import { createHash, hash } from "node:crypto";
import { expect, test } from "vitest";
import { addressOf } from "../blobs/blob-store.ts";
import { MemoryBlobs } from "../blobs/memory-blobs.ts";
import { chunkOf } from "./downloads.ts";
import type { ChunkTransfer, Hashing } from "./ports.ts";

const hashing: Hashing = {
  sha256: (bytes) => hash("sha256", bytes, "buffer"),
  running() {
    const running = createHash("sha256");
    return { update: (bytes) => void running.update(bytes), digest: () => running.digest() };
  },
};
const data = Buffer.from("a chunk of some length");
const address = Buffer.from(addressOf(data));
const ref = { address, size: data.length };
const holders = { log: 1, boxes: ["other"] };
const { signal } = new AbortController();

function transferOf(answer: Awaited<ReturnType<ChunkTransfer["getChunk"]>>): ChunkTransfer {
  return { putChunk: async () => undefined, getChunk: async () => answer };
}

test("a damaged chunk of this box is never served: it comes from another holder and is stored again", async () => {
  const chunks = new MemoryBlobs({ wallMs: () => 0 });
  await chunks.put(address, Buffer.from(data));
  chunks.flipBit(address);
  const needs = { chunks, hashing, transfer: transferOf({ kind: "data", data }) };

  expect(Buffer.from(await chunkOf(needs, ref, holders, signal)).equals(data)).toBe(true);

  expect(Buffer.from((await chunks.get(address))!).equals(data)).toBe(true);
});

test("a damaged chunk that no other box has is an error, not content", async () => {
  const chunks = new MemoryBlobs({ wallMs: () => 0 });
  await chunks.put(address, Buffer.from(data));
  chunks.flipBit(address);
  const needs = { chunks, hashing, transfer: transferOf({ kind: "absent" }) };

  await expect(chunkOf(needs, ref, holders, signal)).rejects.toMatchObject({ code: "ZONE_UNAVAILABLE" });
});
