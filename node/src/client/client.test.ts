import { createHash } from "node:crypto";
import type { Response } from "@nexus-federation/proto/request.ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import { noOptions } from "../box/ask.ts";
import { DoorRig, tokens } from "../server/testing/rig.ts";
import { NexusClient } from "./client.ts";
import { connector } from "./connect.ts";
import * as operations from "./operations.ts";
import type { ClientSettings } from "./types.ts";

let rig: DoorRig;
const clients: NexusClient[] = [];
beforeAll(async () => {
  rig = await DoorRig.start(["a", "b", "w"]);
});
afterAll(async () => {
  for (const client of clients) client.close();
  await rig.stop();
});

function clientOf(boxes: string[] = ["a", "b"], more: Partial<ClientSettings> = {}): NexusClient {
  const endpoints = boxes.map((box) => rig.endpoint(box));
  const client = new NexusClient({ federation: "fed", endpoints, token: tokens.all, ...more });
  clients.push(client);
  return client;
}
const drive = <T>(promise: Promise<T>) => rig.drive(promise);
async function collect(parts: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return Buffer.concat(all);
}

test("a box that is asked whether it is there keeps its stream and its waiting calls", async () => {
  const settings = { federation: "fed", endpoints: [rig.endpoint("a")], token: tokens.all };
  const session = await drive(connector(settings, rig.federation.cluster.clock)(rig.endpoint("a")));
  const holder = await drive(clientOf().acquire("/c/asked", { ttlMs: 60_000 }));
  const value = { path: "/c/asked", kind: "mutex", slots: 1, ttlMs: 1000, wait: true, owner: "" };
  const op = { $case: "mutate" as const, value: { op: { $case: "acquire" as const, value } } };
  const options = { ...noOptions, timeoutMs: 60_000, requestId: Buffer.alloc(16, 9) };
  const answered = new Promise<Response | undefined>((resolve) => {
    session.call({ id: 0, options, zone: "", op }, resolve);
  });

  await rig.inStep(600);
  expect({ closed: session.closed, silent: session.silent }).toEqual({ closed: false, silent: false });

  await drive(clientOf().release("/c/asked", holder.grant.lockId));
  expect((await drive(answered))?.result?.$case).toBe("grant");
  session.close("over");
});

test("a listing goes on from its own page tokens, and a token that no listing gave is refused on the stream too", async () => {
  const client = clientOf();
  for (const name of ["one", "two", "three"]) await drive(client.put(`/paged/${name}`, name));

  const first = await drive(client.list("/paged", { limit: 2 }));
  const rest = await drive(client.list("/paged", { limit: 2, page: first.nextPage }));

  expect([...first.entries, ...rest.entries].map(({ name }) => name)).toEqual(["one", "three", "two"]);
  expect([first.nextPage === "", rest.nextPage]).toEqual([false, ""]);
  for (const page of ["three", "zzz", "p1.", "p1.%2F", `x${first.nextPage}`]) {
    await expect(drive(client.list("/paged", { page }))).rejects.toMatchObject({
      code: "INVALID",
      message: expect.stringContaining("page:"),
    });
  }
});

test("what cannot be sent is INVALID at once, with the field in the sentence", async () => {
  const client = clientOf();
  const refusals: [Promise<unknown>, string][] = [
    [client.put("/c/n", "x", { minCopies: 1.5 }), "minCopies"],
    [client.get("/c/n", { minCopies: -1 }), "minCopies"],
    [client.put("/c/n", "x", { timeoutMs: Number.NaN }), "timeoutMs"],
    [client.acquire("/c/l", { ttlMs: 0.5 }), "ttlMs"],
    [client.acquire("/c/l", { kind: "semaphore", slots: 0 }), "slots"],
    [client.list("/c", { limit: -3 }), "limit"],
    [client.put("/c/n", "x", { pin: "garbage" }), "pin"],
    [client.download("/c/n", { offset: -1 }), "offset"],
  ];
  for (const [refused, field] of refusals) {
    await expect(refused).rejects.toMatchObject({ code: "INVALID", message: expect.stringContaining(`${field}:`) });
  }
  expect(() => clientOf(["a"], { token: "schlüssel" })).toThrow(/token: visible ASCII/);
});

test("a pin keeps a write and an upload to the log of the first attempt", async () => {
  const client = clientOf();
  const { receipt } = await drive(client.put("/pins/x", "1"));
  const other = Buffer.from(receipt.token);
  other[8] = (other[8] ?? 0) + 7;

  const gone = { code: "GENERATION_CHANGED" };
  await expect(drive(client.put("/pins/x", "2", { pin: other }))).rejects.toMatchObject(gone);
  await expect(drive(client.upload("/pins/x", [Buffer.alloc(9)], { pin: other }))).rejects.toMatchObject(gone);
  await drive(client.upload("/pins/x", [Buffer.from("3")], { pin: receipt.token }));
  expect(Buffer.from((await drive(client.get("/pins/x"))).content).toString()).toBe("3");
});

describe("files through the client", () => {
  test("are written, read, described, listed, moved, copied and deleted with receipts", async () => {
    const client = clientOf();
    const written = await drive(client.put("/c/a", "one", { contentType: "text/plain", metadata: { k: "v" } }));
    await drive(client.mkdir("/c/d/e", { parents: true }));
    await drive(client.copy("/c/a", "/c/d/b"));
    await drive(client.move("/c/d/b", "/c/d/c"));
    await drive(client.setMetadata("/c/a", { set: { k: "w" } }));

    expect(written.receipt).toMatchObject({ zone: "all", mode: "strong_ha", copies: 2, stalenessMs: 0 });
    const read = await drive(client.get("/c/a"));
    expect(Buffer.from(read.content).toString()).toBe("one");
    expect(read.info).toMatchObject({ contentType: "text/plain", metadata: { k: "w" } });
    expect((await drive(client.list("/c"))).entries.map((one) => one.name)).toEqual(["a", "d"]);
    expect((await drive(client.stat("/c/d/c"))).info.size).toBe(3);
    await drive(client.delete("/c/d", { recursive: true }));
    await expect(drive(client.stat("/c/d/c"))).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("a metadata key __proto__ is refused in every way of writing it, not dropped", async () => {
    const client = clientOf();
    const metadata = Object.fromEntries([["__proto__", "x"]]);
    const invalid = { code: "INVALID", message: expect.stringContaining("__proto__") };
    await drive(client.put("/c/proto", "1"));

    await expect(drive(client.put("/c/p", "1", { metadata }))).rejects.toMatchObject(invalid);
    await expect(drive(client.upload("/c/p", [Buffer.alloc(9)], { metadata }))).rejects.toMatchObject(invalid);
    await expect(drive(client.setMetadata("/c/proto", { set: metadata }))).rejects.toMatchObject(invalid);
    const write = operations.write("/c/p", Buffer.from("1"), { metadata });
    await expect(drive(client.batch([write]))).rejects.toMatchObject(invalid);
  });

  test("text with a lone surrogate is refused, not written as another", async () => {
    const client = clientOf();
    const bad = "/c/x\ud800";
    const calls: (() => Promise<unknown>)[] = [
      () => client.put(bad, "1"),
      () => client.get(bad),
      () => client.put("/c/x", "1", { metadata: { "k\ud800": "v" } }),
      () => client.put("/c/x", "1", { contentType: "\udc00" }),
      () => client.setMetadata("/c/x", { set: { k: "\udc00" } }),
      () => client.upload(bad, [Buffer.alloc(9)]),
      () => client.move("/c/x", bad),
      () => client.acquire(bad),
    ];

    for (const call of calls) await expect(drive((async () => call())())).rejects.toMatchObject({ code: "INVALID" });
  });

  test("a request that cannot be sent is refused at once by its own fault and ends no other call", async () => {
    const client = clientOf();
    const large = Array.from({ length: 300 }, (_, i) => operations.write(`/large/${i}`, Buffer.alloc(32 * 1024)));
    const other = client.put("/c/other", "one");
    const refused = expect(drive(client.put("/c/r", "x", { ifRevision: -1 }))).rejects;

    await refused.toMatchObject({ code: "INVALID" });
    await expect(drive(client.acquire("/c/lock", { ttlMs: 1.5 }))).rejects.toMatchObject({ code: "INVALID" });
    await expect(drive(client.batch(large))).rejects.toMatchObject({ code: "TOO_LARGE" });
    expect((await drive(other)).receipt.copies).toBe(2);
  });

  test("entries walks every page", async () => {
    const client = clientOf();
    const list = Array.from({ length: 25 }, (_, i) => operations.write(`/pages/${i + 100}`, Buffer.from("x")));
    await drive(client.batch([operations.mkdir("/pages"), ...list]));
    const walk = async () => {
      const names: string[] = [];
      for await (const entry of client.entries("/pages", { limit: 4 })) names.push(entry.name);
      return names;
    };

    expect(await drive(walk())).toHaveLength(25);
  });

  test("conditions and fences decide whether a write is made", async () => {
    const client = clientOf();
    await drive(client.put("/cond", "1", { ifNoneMatch: true }));
    const etag = createHash("sha256").update("1").digest();
    const codes = [
      client.put("/cond", "2", { ifNoneMatch: true }),
      client.put("/cond", "2", { ifMatch: Buffer.alloc(32) }),
      client.put("/cond", "2", { fence: "1099511627799" }),
    ].map((promise) =>
      drive(
        promise.then(
          () => "",
          (error) => error.code,
        ),
      ),
    );

    expect(await Promise.all(codes)).toEqual(["PRECONDITION_FAILED", "PRECONDITION_FAILED", "FENCED"]);
    await drive(client.put("/cond", "2", { ifMatch: etag }));
    expect(() => operations.write("/x", etag, { fence: "no" })).toThrow(/printed fence/);
  });

  test("large content goes up and down in pieces and by range, with progress", async () => {
    const client = clientOf(["b"]);
    const content = Buffer.from(seededRandom(8).bytes(2_700_000));
    const progress: number[] = [];
    const put = await drive(client.put("/large", content));
    const down = await drive(client.download("/large", { onProgress: (bytes) => progress.push(bytes) }));
    const whole = await drive(collect(down.data));
    const part = await drive(client.download("/large", { offset: 1_500_000, length: 700_000 }));

    expect(Buffer.from(put.info!.etag)).toEqual(createHash("sha256").update(content).digest());
    expect(whole.equals(content)).toBe(true);
    expect(progress.at(-1)).toBe(content.length);
    expect((await drive(collect(part.data))).equals(content.subarray(1_500_000, 2_200_000))).toBe(true);
    expect(Buffer.from((await drive(client.get("/large"))).content).equals(content)).toBe(true);
  });

  test("an upload whose source fails writes nothing", async () => {
    const client = clientOf();
    async function* source() {
      yield Buffer.alloc(100_000);
      throw new Error("the disk broke");
    }

    await expect(drive(client.upload("/half", source()))).rejects.toThrow("the disk broke");
    await expect(drive(client.stat("/half"))).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("an upload that is refused stops reading its source", async () => {
    const client = clientOf(["a"], { token: tokens.reader });
    let read = 0;
    async function* source() {
      for (; read < 2_000; read++) yield Buffer.alloc(100_000);
    }

    await expect(drive(client.upload("/public/x", source()))).rejects.toMatchObject({ code: "DENIED" });
    expect(read).toBeLessThan(2_000);
  });
});

describe("who calls", () => {
  test("a wrong token is told at once, not after the whole time", async () => {
    const client = clientOf(["a", "b"], { token: "wrong", timeoutMs: 20_000 });
    const started = performance.now();

    await expect(drive(client.get("/x"))).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await expect(drive(client.put("/x", "x"))).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await expect(drive(client.upload("/x", [Buffer.alloc(9)]))).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await expect(drive(client.download("/x"))).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await expect(drive(client.watch("/x")[Symbol.asyncIterator]().next())).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
    expect(performance.now() - started).toBeLessThan(15_000);
  });

  test("an endpoint that nobody answers ends with DEADLINE and what was tried", async () => {
    const client = new NexusClient({ federation: "fed", endpoints: ["127.0.0.1:1"], timeoutMs: 300 });

    await expect(drive(client.put("/x", "x"))).rejects.toMatchObject({
      code: "DEADLINE",
      message: expect.stringContaining("127.0.0.1:1"),
    });
    client.close();
  });
});

describe("locks through the client", () => {
  test("a lock is held, refused to others, and free after its release", async () => {
    const [one, two] = [clientOf(["a"]), clientOf(["b"])];
    const held = await drive(one.lock("/locks/x"));

    await expect(drive(two.acquire("/locks/x"))).rejects.toMatchObject({ code: "LOCKED" });
    expect((await drive(two.lockState("/locks/x"))).holders).toHaveLength(1);
    await drive(held.release());
    const next = await drive(two.acquire("/locks/x"));
    expect(BigInt(next.fence)).toBeGreaterThan(BigInt(held.fence));
  });
});

describe("when boxes die", () => {
  test("a watch and writes go on at the other box, and nothing is missed or seen twice", async () => {
    const writer = clientOf(["b"]);
    const watcher = clientOf(["a", "b"]);
    const stop = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { events } of watcher.watch("/w", { signal: stop.signal }))
        for (const event of events) if (event.info?.type === "file") seen.push(event.path);
    })();
    for (let i = 0; i < 300; i++) await rig.turn();
    for (let i = 0; i < 5; i++) await drive(writer.put(`/w/${i}`, "x"));
    await rig.closeDoor("a");
    for (let i = 5; i < 10; i++) await drive(writer.put(`/w/${i}`, "x"));
    await drive(watcher.put("/elsewhere", "x"));
    for (let i = 0; i < 20_000 && seen.length < 10; i++) await rig.turn();
    stop.abort();
    await drive(watching);

    expect(seen).toEqual(Array.from({ length: 10 }, (_, i) => `/w/${i}`));
    await rig.open("a");
  });

  test("a write goes on when the leader is killed, and is applied once", async () => {
    const log = rig.federation.node("a").directory.zone("all");
    const leader = "code" in log ? undefined : rig.federation.cluster.leader(log.log);
    const survivor = leader?.name === "a" ? "b" : "a";
    const client = clientOf([survivor, leader?.name ?? "a"], { timeoutMs: 30_000 });
    await drive(client.put("/n", "0"));
    await rig.closeDoor(leader?.name ?? "a");
    rig.federation.crash(leader?.name ?? "a");

    const written = await drive(client.put("/n", "1"));

    expect(written.receipt).toMatchObject({ copies: 1, degraded: true });
    expect(Buffer.from((await drive(client.get("/n"))).content).toString()).toBe("1");
  });
});
