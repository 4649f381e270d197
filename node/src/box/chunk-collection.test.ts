import { describe, expect, test } from "vitest";
import { fromHex, hexOf } from "../base/bytes.ts";
import { seededRandom } from "../base/seeded-random.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import { ChunkPins } from "../blobs/orphans.ts";
import { putCommand } from "../group/testing/cluster.ts";
import { ChunkCollection, defaultCollection } from "./chunk-collection.ts";
import { codeOf, Federation } from "./testing/federation.ts";
import { downloadWhole, uploadWhole } from "./testing/transfers.ts";

const trio = ["a", "b", "w"];
const graceMs = 1_000;

/** The chunk store of a box in the test federation, whole; every chunk counts as put at the start of time. */
function storeOf(federation: Federation, box: string): BlobStore {
  const held = () => federation.chunks.get(box) ?? new Map<string, Uint8Array>();
  const remove = (address: Uint8Array) => {
    federation.cluster.box(box).chunks.delete(hexOf(address));
    return held().delete(hexOf(address));
  };
  return {
    has: (address) => held().has(hexOf(address)),
    put: async (address, bytes) => void held().set(hexOf(address), bytes),
    get: async (address) => held().get(hexOf(address)),
    delete: async (address) => void remove(address),
    collect: async ({ address }, isOrphan) => isOrphan() && remove(address),
    async *list() {
      for (const [key, bytes] of [...held()]) {
        yield { address: fromHex(key) ?? new Uint8Array(0), sizeBytes: bytes.length, storedMs: 0 };
      }
    },
  };
}

async function started() {
  const federation = await Federation.start(trio, { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  const { cluster } = federation;
  const pins = new ChunkPins();
  const collections = ["a", "b"].map(
    (name) =>
      new ChunkCollection({
        store: storeOf(federation, name),
        pins,
        groups: cluster.box(name).host,
        machines: cluster.box(name).states,
        ask: federation.node(name).box.ask,
        clock: cluster.clock,
        log: { info: () => undefined, warn: () => undefined },
        settings: { ...defaultCollection, graceMs },
      }),
  );
  /** Two looks that lie the grace apart, on both boxes. */
  const collect = async () => {
    for (const one of collections) await cluster.settle(one.run(), 30_000);
    await cluster.run(graceMs);
    const deleted: number[] = [];
    for (const one of collections) deleted.push(await cluster.settle(one.run(), 30_000));
    return deleted;
  };
  return { federation, pins, collect };
}

const content = (seed: number) => Buffer.from(seededRandom(seed).bytes(1_500_000));

describe("chunks that no file refers to", () => {
  test("go on every box once the file is gone; those of other files stay", async () => {
    const { federation, collect } = await started();
    for (const [path, seed] of [
      ["/kept", 1],
      ["/gone", 2],
    ] as const) {
      expect(codeOf(await uploadWhole(federation, { box: "a", path }, content(seed)))).toBe("");
    }
    expect(await collect()).toEqual([0, 0]);
    await federation.write("b", "/gone", "small now");

    const deleted = await collect();

    expect(deleted).toEqual([2, 2]);
    for (const box of trio.slice(0, 2)) expect(federation.chunks.get(box)?.size).toBe(2);
    expect((await downloadWhole(federation, { box: "b", path: "/kept" })).equals(content(1))).toBe(true);
  });

  test("stay while a reader of this box holds them", async () => {
    const { federation, pins, collect } = await started();
    await uploadWhole(federation, { box: "a", path: "/gone" }, content(2));
    const addresses = [...(federation.chunks.get("a")?.keys() ?? [])].map((key) => fromHex(key) ?? new Uint8Array(0));
    await federation.write("a", "/gone", "small now");

    const release = pins.pin(addresses);

    expect(await collect()).toEqual([0, 0]);
    release();
    expect(await collect()).toEqual([2, 2]);
  });

  test("stay while their zone takes no entries", async () => {
    const { federation, collect } = await started();
    await uploadWhole(federation, { box: "a", path: "/gone" }, content(2));
    await federation.write("a", "/gone", "small now");
    federation.cluster.box("w").crash();
    federation.cluster.hub.part("a", ["b"]);

    expect(await collect()).toEqual([0, 0]);
  });

  test("cannot be named by an upload that began before they were dropped", async () => {
    const { federation, collect } = await started();
    await uploadWhole(federation, { box: "a", path: "/gone" }, content(2));
    const store = federation.chunks.get("a") ?? new Map<string, Uint8Array>();
    const chunks = [...store.keys()].map((key) => Buffer.from(fromHex(key) ?? []));
    const kept = new Map(store);
    await federation.write("a", "/gone", "small now");
    await collect();
    for (const [key, bytes] of kept) {
      store.set(key, bytes);
      federation.cluster.box("a").chunks.add(key);
      federation.cluster.box("b").chunks.add(key);
    }
    const log =
      federation.cluster
        .box("a")
        .host.logs()
        .find((one) => one !== 1) ?? 0;

    const leader = await federation.cluster.elected(log);
    const outcome = await federation.cluster.settle(leader.propose(putCommand("/late", "", { chunks }), log));

    expect(outcome).toMatchObject({ kind: "applied", reply: { result: { $case: "failure" } } });
  });
});

test("a chunk that an entry above the applied index names is not an orphan", async () => {
  const { federation } = await started();
  const log =
    federation.cluster
      .box("a")
      .host.logs()
      .find((one) => one !== 1) ?? 0;
  const leader = await federation.cluster.elected(log);
  const chunk = Buffer.alloc(33, 7);
  leader.chunks.add(chunk.toString("hex"));
  const other = leader.name === "a" ? "b" : "a";
  federation.cluster.box(other).chunks.add(chunk.toString("hex"));
  leader.disk.stall();
  const put = leader.propose(putCommand("/big", "", { chunks: [chunk] }), log);
  await federation.cluster.run(5);

  const before = leader.host.mayRefer(chunk);
  leader.disk.resume();
  await federation.cluster.settle(put);

  expect(before).toBe(true);
  expect(leader.host.mayRefer(chunk)).toBe(false);
});
