import { expect, test } from "vitest";
import { absent, ValueCache } from "./value-cache.ts";

const filled = (byte: number, length = 300) => Buffer.alloc(length, byte);

test("of what is written, only keys that were looked for are kept, as copies of that moment", () => {
  const cache = new ValueCache(1_000_000);
  cache.set("p", "known", absent);
  const written = filled(1);
  cache.refresh("p", "known", written);
  cache.refresh("p", "unknown", written);
  written.fill(2);

  expect(cache.get("p", "known")).toEqual(filled(1));
  expect(cache.get("p", "unknown")).toBeUndefined();
});

test("a value that somebody holds stays as it was when its key is written again", () => {
  const cache = new ValueCache(1_000_000);
  cache.set("p", "key", absent);
  cache.refresh("p", "key", filled(1));
  const held = Buffer.from(cache.get("p", "key")!.buffer, cache.get("p", "key")!.byteOffset, 300);
  for (let byte = 2; byte < 250; byte++) cache.refresh("p", "key", filled(byte));

  expect(held).toEqual(filled(1));
  expect(cache.get("p", "key")).toEqual(filled(249));
});

test("a large value has a buffer of its own", () => {
  const cache = new ValueCache(1_000_000);
  for (const [key, length] of [
    ["large", 5000],
    ["small", 300],
  ] as const) {
    cache.set("p", key, absent);
    cache.refresh("p", key, filled(1, length));
  }
  expect(cache.get("p", "large")?.buffer.byteLength).toBe(5000);
  expect(cache.get("p", "small")?.buffer.byteLength).toBeGreaterThan(5000);
});

test("buffers that copies keep alive stay within the bound, whichever of the keys are written again and again", () => {
  const bytesMax = 1_000_000;
  const cache = new ValueCache(bytesMax);
  const keys = Array.from({ length: 1000 }, (_, i) => `key ${i}`);
  for (const key of keys) cache.set("p", key, absent);
  const buffers = new Set<ArrayBufferLike>();
  // One key in fifty is written once for every fifty writes of a hot one, so that a slab holds little that lives.
  for (let turn = 0; turn < 20; turn++) {
    for (const key of keys) {
      cache.refresh("p", key, filled(turn));
      for (let i = 0; i < 50; i++) cache.refresh("p", "key 0", filled(i));
    }
  }
  for (const key of keys) {
    const value = cache.get("p", key);
    if (value !== undefined && value !== absent) buffers.add(value.buffer);
  }
  let bytes = 0;
  for (const { byteLength } of buffers) bytes += byteLength;
  expect(bytes).toBeLessThan(bytesMax);
});

test("what is used moves to the young generation, and what is not is dropped with the old one", () => {
  const cache = new ValueCache(20_000);
  cache.set("p", "used", absent);
  cache.refresh("p", "used", filled(7));
  cache.set("p", "unused", filled(8));
  for (let i = 0; i < 200; i++) {
    cache.set("p", `other ${i}`, filled(9));
    expect(cache.get("p", "used")).toEqual(filled(7));
  }
  expect(cache.get("p", "unused")).toBeUndefined();
});
