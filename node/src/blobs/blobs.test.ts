import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { hexOf, utf8 } from "../base/bytes.ts";
import { addressOf, type BlobInfo, type BlobStore, chunkBytesMax } from "./blob-store.ts";
import { LocalBlobs, quarantinedMax } from "./local-blobs.ts";
import { MemoryBlobs } from "./memory-blobs.ts";
import { ChunkPins, OrphanWatch } from "./orphans.ts";

const folder = mkdtempSync(join(tmpdir(), "nexus-blobs-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const clock = { now: 1_000_000, wallMs: () => clock.now };
const place = () => mkdtempSync(join(folder, "store-"));
const pathOf = (root: string, address: Uint8Array) => {
  const name = hexOf(address);
  return join(root, name.slice(2, 4), name.slice(4, 6), name);
};

const stores: [string, () => Promise<BlobStore>][] = [
  ["MemoryBlobs", async () => new MemoryBlobs(clock)],
  ["LocalBlobs", () => LocalBlobs.open(place(), clock)],
];

describe.each(stores)("the BlobStore port as %s", (_name, open) => {
  test("a chunk is read back, known, listed and deleted", async () => {
    const store = await open();
    const bytes = utf8("content");
    const address = addressOf(bytes);
    expect(store.has(address)).toBe(false);

    await store.put(address, bytes);

    expect(store.has(address)).toBe(true);
    expect(Buffer.from((await store.get(address))!)).toEqual(Buffer.from(bytes));
    for await (const info of store.list()) expect(info).toEqual({ address, sizeBytes: 7, storedMs: clock.now });
    await store.delete(address);
    await store.delete(address);
    expect(store.has(address)).toBe(false);
    expect(await store.get(address)).toBeUndefined();
  });

  test("bytes that are not those of the address are refused with INVALID, too many with TOO_LARGE", async () => {
    const store = await open();
    const large = new Uint8Array(chunkBytesMax + 1);

    await expect(store.put(addressOf(utf8("a")), utf8("b"))).rejects.toMatchObject({ code: "INVALID" });
    await expect(store.put(addressOf(large), large)).rejects.toMatchObject({ code: "TOO_LARGE" });
  });

  test("puts and deletions of one chunk at once end as the last call says", async () => {
    const store = await open();
    const bytes = utf8("contended");
    const address = addressOf(bytes);

    await Promise.all([
      store.put(address, bytes),
      store.delete(address),
      store.put(address, bytes),
      store.put(address, bytes),
    ]);

    expect(store.has(address)).toBe(true);
    expect(await store.get(address)).toHaveLength(9);
  });

  test("a listed chunk is collected when it is an orphan then, and was not put again", async () => {
    const store = await open();
    for (const text of ["o", "r", "n"]) await store.put(addressOf(utf8(text)), utf8(text));
    const listed = new Map<string, BlobInfo>();
    for await (const info of store.list()) listed.set(hexOf(info.address), info);
    const infoOf = (text: string) => listed.get(hexOf(addressOf(utf8(text))))!;
    clock.now += 10_000;
    await store.put(addressOf(utf8("n")), utf8("n"));

    expect(await store.collect(infoOf("o"), () => true)).toBe(true);
    expect(await store.collect(infoOf("r"), () => false)).toBe(false);
    expect(await store.collect(infoOf("n"), () => true)).toBe(false);

    expect(["o", "r", "n"].map((text) => store.has(addressOf(utf8(text))))).toEqual([false, true, true]);
  });

  test("an orphan is ripe once it has been seen without a reference for the grace", async () => {
    const store = await open();
    for (const text of ["o", "r"]) await store.put(addressOf(utf8(text)), utf8(text));
    const referenced = hexOf(addressOf(utf8("r")));
    const rules = {
      graceMs: 5000,
      ripeMax: 100,
      rememberedMax: 100,
      signal: new AbortController().signal,
      isReferenced: (address: Uint8Array) => hexOf(address) === referenced,
    };
    const watch = new OrphanWatch();
    clock.now += 10_000;

    expect(await watch.look(store, { ...rules, nowMs: clock.now })).toEqual([]);
    clock.now += 4_000;
    expect(await watch.look(store, { ...rules, nowMs: clock.now })).toEqual([]);
    clock.now += 1_000;
    const ripe = await watch.look(store, { ...rules, nowMs: clock.now });
    expect(ripe.map(({ address }) => hexOf(address))).toEqual([hexOf(addressOf(utf8("o")))]);
  });
});

test("what is pinned twice is held until both let go", () => {
  const pins = new ChunkPins();
  const address = addressOf(utf8("p"));
  const [first, second] = [pins.pin([address]), pins.pin([address])];

  first();
  expect(pins.isPinned(address)).toBe(true);
  second();
  expect(pins.isPinned(address)).toBe(false);
});

describe("LocalBlobs", () => {
  test("knows after a restart what was put, and forgets what was half written", async () => {
    const root = place();
    const first = await LocalBlobs.open(root, clock);
    const bytes = Array.from({ length: 50 }, (_, i) => utf8(`chunk ${i}`));
    await Promise.all(bytes.map((each) => first.put(addressOf(each), each)));
    writeFileSync(join(root, "writing", "999"), "half");

    const second = await LocalBlobs.open(root, clock);

    expect(second.count).toBe(50);
    expect(bytes.every((each) => second.has(addressOf(each)))).toBe(true);
    expect(readdirSync(join(root, "writing"))).toEqual([]);
    expect(await second.freeBytes()).toBeGreaterThan(0);
  });

  test("a damaged chunk is CORRUPT once, set aside, then absent, and can be put again", async () => {
    const root = place();
    const store = await LocalBlobs.open(root, clock);
    const bytes = utf8("precious");
    const address = addressOf(bytes);
    await store.put(address, bytes);
    writeFileSync(pathOf(root, address), "pRecious");

    await expect(store.get(address)).rejects.toMatchObject({ code: "CORRUPT" });

    expect(store.has(address)).toBe(false);
    expect(await store.get(address)).toBeUndefined();
    expect(readFileSync(join(root, "quarantine", hexOf(address))).toString()).toBe("pRecious");
    await store.put(address, bytes);
    expect(await store.get(address)).toHaveLength(8);
  });

  test("of damaged chunks the newest are kept, so many and no more", async () => {
    const root = place();
    const store = await LocalBlobs.open(root, clock);
    for (let i = 0; i < quarantinedMax + 3; i++) {
      const bytes = utf8(`chunk ${i}`);
      await store.put(addressOf(bytes), bytes);
      writeFileSync(pathOf(root, addressOf(bytes)), "rotten");
      await expect(store.get(addressOf(bytes))).rejects.toMatchObject({ code: "CORRUPT" });
    }

    const kept = readdirSync(join(root, "quarantine"));
    expect(kept).toHaveLength(quarantinedMax);
    expect(kept).toContain(hexOf(addressOf(utf8(`chunk ${quarantinedMax + 2}`))));
  });

  test("a chunk whose file vanished is CORRUPT, not silently absent", async () => {
    const root = place();
    const store = await LocalBlobs.open(root, clock);
    await store.put(addressOf(utf8("x")), utf8("x"));
    rmSync(pathOf(root, addressOf(utf8("x"))));

    await expect(store.get(addressOf(utf8("x")))).rejects.toMatchObject({ code: "CORRUPT" });
  });
});
