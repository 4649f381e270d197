import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { utf8 } from "../base/bytes.ts";
import { MemoryStateStore } from "../machine/memory-store.ts";
import { RocksStore } from "./rocks.ts";
import { testsOfStateStore } from "./store-compliance.ts";

const folder = mkdtempSync(join(tmpdir(), "nexus-rocks-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const small = { memtableBytes: 8 << 20, blockCacheBytes: 1 << 20, valueCacheBytes: 2000 };

describe("the StateStore port in memory", () => {
  testsOfStateStore(async (body) => body(new MemoryStateStore()));
});

describe("the StateStore port on RocksDB", () => {
  testsOfStateStore(async (body) => {
    const store = await RocksStore.open(mkdtempSync(join(folder, "db-")), small);
    try {
      await body(store);
    } finally {
      await store.close();
    }
  });
});

describe("RocksStore", () => {
  test("a frozen range shows what stood when it was frozen, whatever is written or deleted later", async () => {
    const store = await RocksStore.open(join(folder, "frozen"), small);
    const keys = Array.from({ length: 600 }, (_, i) => `k${String(i).padStart(4, "0")}`);
    store.write([...keys, "z"].map((key) => ({ key, value: utf8("old") })));

    const frozen = store.freeze({ from: "k", to: "l" });
    store.write(keys.map((key, i) => ({ key, value: i % 2 === 0 ? undefined : utf8("new") })));
    store.deleteRange("k0100", "k0200");
    const seen = [...frozen.scan({ from: "k" })];

    expect(seen.map((pair) => pair.key)).toEqual(keys);
    expect(new Set(seen.map((pair) => Buffer.from(pair.value).toString()))).toEqual(new Set(["old"]));
    expect(Buffer.from(frozen.get("k0100") ?? []).toString()).toBe("old");
    expect(frozen.get("k01")).toBeUndefined();
    expect([...frozen.scan({ from: "k0001", to: "k0004", limit: 2 })].map((pair) => pair.key)).toEqual([
      "k0001",
      "k0002",
    ]);
    frozen.close();
    await store.close();
  });

  test("a key that was looked for in vain is found once it is written, gone once removed, and found again", async () => {
    const store = await RocksStore.open(join(folder, "vain"), small);
    const text = (key: string) => Buffer.from(store.get(key) ?? "nothing").toString();
    const seen = [text("a"), text("b"), text("c")];

    store.write(["a", "b", "c"].map((key) => ({ key, value: utf8(key) })));
    seen.push(text("a"), text("b"), text("c"));
    store.write([{ key: "a", value: undefined }]);
    store.write([{ key: "b", value: undefined, to: "c" }]);
    store.deleteRange("c", "d");
    seen.push(text("a"), text("b"), text("c"));
    store.write(["a", "b", "c"].map((key) => ({ key, value: new Uint8Array(0) })));

    expect(seen.join()).toBe("nothing,nothing,nothing,a,b,c,nothing,nothing,nothing");
    expect(["a", "b", "c"].map((key) => store.get(key)?.length)).toEqual([0, 0, 0]);
    await store.close();
  });

  test("keeps what was written over a restart, and deletes ranges", async () => {
    const place = join(folder, "restart");
    const first = await RocksStore.open(place, small);
    first.write(["a", "b", "c"].map((key) => ({ key, value: utf8(key) })));
    first.deleteRange("b", "c");
    await first.flush();
    await first.close();

    const second = await RocksStore.open(place, small);

    expect([...second.scan({ from: "" })].map((pair) => pair.key)).toEqual(["a", "c"]);
    expect(second.get("b")).toBeUndefined();
    expect(second.backgroundErrors).toBe(0);
    await second.close();
  });

  test("closes after a scan that was left early", async () => {
    const store = await RocksStore.open(join(folder, "early"), small);
    store.write(Array.from({ length: 2000 }, (_, i) => ({ key: `k${i}`, value: utf8("v") })));

    for (const { key } of store.scan({ from: "k" })) if (key > "k2") break;

    await store.close();
  });

  test("a value that fails its checksum is CORRUPT to get and scan", async () => {
    const place = join(folder, "corrupt");
    const { RocksLevel } = await import("@nxtedition/rocksdb");
    const raw = new RocksLevel(place, { keyEncoding: "buffer", valueEncoding: "buffer" });
    await raw.open({ createIfMissing: true });
    const batch = raw._chainedBatch();
    batch._put(Buffer.from("a"), Buffer.from("value without a checksum"));
    batch._put(Buffer.from("b"), Buffer.from("x"));
    batch._writeSync();
    batch._closeSync();
    raw.detachResource(batch);
    await raw.close();

    const store = await RocksStore.open(place, small);

    for (const key of ["a", "b"]) expect(() => store.get(key)).toThrow(expect.objectContaining({ code: "CORRUPT" }));
    expect(() => [...store.scan({ from: "a" })]).toThrow(expect.objectContaining({ code: "CORRUPT" }));
    await store.close();
  });
});
