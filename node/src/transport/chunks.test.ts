import { createHash } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeEach, expect, test } from "vitest";
import { type Refusal, refuse } from "../base/errors.ts";
import { seededRandom } from "../base/seeded-random.ts";
import { badBytes } from "../base/testing/bent.ts";
import { Authority } from "./authority.ts";
import { socketToBox } from "./channel.ts";
import { acceptChunks } from "./chunk-door.ts";
import { chunksProtocol, doneFrame, putHead, readDone, readPut } from "./chunk-frames.ts";
import { ChunkLink } from "./chunk-link.ts";
import { LinkLog, ServeLog } from "./compliance.fixture.ts";
import { boxCredentials, peerSettings, selfOf, until } from "./federation.fixture.ts";
import { FrameBuffers } from "./frame-buffers.ts";
import { batchFrame, handshakeFrame, readHandshake } from "./frames.ts";
import { handshakeOf } from "./handshake.ts";
import { Listener } from "./listener.ts";
import { TlsNetwork } from "./network.ts";
import type { ChunkName } from "./ports.ts";
import { say as sayTo } from "./said.fixture.ts";
import { systemClock, systemRandom } from "./system-clock.ts";

// Chunks that travel to another box as frames, over real TLS.

const authority = await Authority.create("acme", Date.now());
const own = await boxCredentials(authority, "a");
const shelf = {
  taken: [] as { log: number; size: number }[],
  hold: undefined as Promise<void> | undefined,
  atOnce: 0,
  atOnceMax: 0,
  look: undefined as ((data: Uint8Array) => void) | undefined,
};
async function putChunk(_from: unknown, chunk: ChunkName, data: Uint8Array): Promise<Refusal | undefined> {
  shelf.atOnceMax = Math.max(shelf.atOnceMax, ++shelf.atOnce);
  await (shelf.hold ?? new Promise((resolve) => setImmediate(resolve)));
  shelf.atOnce--;
  shelf.look?.(data);
  if (chunk.log === 13) return refuse("DISK_FULL", "no room for it");
  if (chunk.log === 14) throw new Error("broken shelf");
  shelf.taken.push({ log: chunk.log, size: data.length });
  return undefined;
}
let isMember = true;
const admit = () => (isMember ? undefined : refuse("DENIED", "no member"));

const credentials = await boxCredentials(authority, "b");
const listener = new Listener(peerSettings(credentials));
const raft = new ServeLog({ echo: true });
const served = new TlsNetwork({
  clock: systemClock,
  random: systemRandom,
  self: selfOf("b"),
  credentials: () => credentials,
});
served.onServe("forward", raft);
served.serveOn(listener);
listener.onFrames(chunksProtocol, acceptChunks({ clock: systemClock, self: selfOf("b"), admit, server: { putChunk } }));
const endpoint = `127.0.0.1:${await listener.start()}`;
const target = { own, federation: "acme", box: "b", endpoint };
const peer = { box: "b", endpoint, incarnation: selfOf("b").incarnation, services: [] };
const name = (log: number): ChunkName => ({ log, address: new Uint8Array(33).fill(1) });
const links: ChunkLink[] = [];
const linkTo = (to = peer, idleMs = 30_000) => {
  const link = new ChunkLink({ clock: systemClock, self: selfOf("a"), idleMs }, target, to);
  links.push(link);
  return link;
};

beforeEach(() => {
  Object.assign(shelf, { taken: [], hold: undefined, atOnce: 0, atOnceMax: 0, look: undefined });
  isMember = true;
});
afterAll(async () => {
  for (const link of links) link.close();
  await served.stop();
  await listener.stop();
});

test("each put is answered for itself, refusals and failures of the store with their sentence", async () => {
  const link = linkTo();
  expect(await link.ready).toBe(true);

  const answers = await Promise.all([7, 13, 14, 8].map((log) => link.put(name(log), Buffer.alloc(700_000, log))));

  expect(answers).toMatchObject([
    undefined,
    { code: "DISK_FULL", message: "no room for it" },
    { code: "INTERNAL", message: "broken shelf" },
    undefined,
  ]);
  expect(shelf.taken.map(({ log }) => log).sort()).toEqual([7, 8]);
});

test("no more than so many chunks of one caller are in memory here, and all arrive", async () => {
  const link = linkTo();
  await link.ready;
  const hold = Promise.withResolvers<void>();
  shelf.hold = hold.promise;
  const puts = Array.from({ length: 40 }, (_, log) => link.put(name(100 + log), Buffer.alloc(100_000)));
  await until(() => shelf.atOnce === 16);

  hold.resolve();
  expect((await Promise.all(puts)).every((refusal) => refusal === undefined)).toBe(true);

  expect(shelf.atOnceMax).toBeLessThanOrEqual(17);
  expect(shelf.taken).toHaveLength(40);
});

test("a message to the same box passes content that the box does not take", async () => {
  const caller = new TlsNetwork({
    clock: systemClock,
    random: systemRandom,
    self: selfOf("a"),
    credentials: () => own,
  });
  const log = new LinkLog();
  caller.onLink("forward", log);
  caller.setPeer({ ...peer, services: ["forward"] });
  const link = linkTo();
  await link.ready;
  await until(() => caller.isUp("forward", "b"));
  const hold = Promise.withResolvers<void>();
  shelf.hold = hold.promise;
  const puts = Array.from({ length: 64 }, (_, log) => link.put(name(log), Buffer.alloc(1024 * 1024)));
  await until(() => shelf.atOnce === 16);

  caller.send("forward", "b", Buffer.from("beat"));
  await until(() => log.text === "re:beat");

  expect(shelf.taken).toEqual([]);
  hold.resolve();
  await Promise.all(puts);
  await caller.stop();
});

test("a box of another incarnation, and a caller that is no member, are refused", async () => {
  const other = linkTo({ ...peer, incarnation: new Uint8Array(16).fill(9) });
  expect(await other.ready).toBe(false);
  expect(other.ended).toMatchObject({ code: "DENIED" });
  expect(other.isResting).toBe(true);

  const link = linkTo();
  await link.ready;
  isMember = false;
  expect(await link.put(name(7), Buffer.alloc(9))).toMatchObject({ code: "DENIED", message: "no member" });
});

test("what is under way when the connection is given up ends as unavailable", async () => {
  const link = linkTo();
  await link.ready;
  const hold = Promise.withResolvers<void>();
  shelf.hold = hold.promise;
  const put = link.put(name(7), Buffer.alloc(9));
  await until(() => shelf.atOnce === 1);

  link.close();

  expect((await put)?.code).toBe("ZONE_UNAVAILABLE");
  expect((await link.put(name(7), Buffer.alloc(9)))?.code).toBe("ZONE_UNAVAILABLE");
  hold.resolve();
});

test("a peer that owes an answer for too long is given up", async () => {
  const link = linkTo(peer, 1);
  await link.ready;
  const hold = Promise.withResolvers<void>();
  shelf.hold = hold.promise;

  expect(await link.put(name(7), Buffer.alloc(9))).toMatchObject({ code: "ZONE_UNAVAILABLE" });

  expect(link.ended).toBeDefined();
  hold.resolve();
});

/** What the door says to these bytes, until it closes or has answered so many puts. */
async function say(parts: readonly Uint8Array[], wanted?: number) {
  let greeted = false;
  const answersOf = (frame: Buffer) => {
    greeted ||= readHandshake(frame) !== undefined;
    const done = readDone(frame);
    return done === undefined ? [] : [done.id];
  };
  const socket = socketToBox(target, [chunksProtocol]);
  const heard = await sayTo(socket, parts, { answersOf, wanted });
  return { greeted, ...heard };
}
const greeting = handshakeFrame(handshakeOf(selfOf("a"), peer));
const data = Buffer.alloc(100, 5);
const put = Buffer.concat([putHead(3, name(7), data.length), data]);

test("a put is read as it was written, its data as a view", () => {
  const read = readPut(put);

  expect(read).toEqual({ id: 3, chunk: { log: 7, address: Buffer.from(name(7).address) }, data });
  expect(read?.data.buffer).toBe(put.buffer);
  expect(readDone(doneFrame({ id: 4, failure: undefined }))).toEqual({ id: 4, failure: undefined });
});

test("buffers of large frames are used again, so many and no more; others are let go", () => {
  const buffers = new FrameBuffers(100_000, 2);
  const [one, two, three] = [buffers.take(100_000), buffers.take(70_000), buffers.take(99_000)];
  expect([one.length, two.length, buffers.take(100).length, buffers.take(200_000).length]).toEqual([
    100_000, 70_000, 100, 200_000,
  ]);

  for (const each of [one.subarray(5), two, three, Buffer.alloc(9)]) buffers.giveBack(each);

  expect(buffers.free).toBe(2);
  expect(buffers.take(80_000).buffer).toBe(two.buffer);
});

test("what many chunks carry arrives whole though their buffers are used again", async () => {
  const link = linkTo();
  await link.ready;
  const digests: string[] = [];
  shelf.look = (data) => void digests.push(createHash("sha1").update(data).digest("hex"));
  const sent = Array.from({ length: 48 }, (_, i) => Buffer.alloc(300_000 + i * 10_000, i + 1));

  for (let at = 0; at < sent.length; at += 12) {
    await Promise.all(sent.slice(at, at + 12).map((data, i) => link.put(name(at + i), data)));
  }

  const expected = sent.map((data) => createHash("sha1").update(data).digest("hex"));
  expect(digests.sort()).toEqual(expected.sort());
});

test("who does not greet, or sends what is no chunk, or too much, loses the connection", async () => {
  expect((await say([put])).refusal).toBe("INVALID: the first frame must be a handshake");
  expect((await say([greeting, batchFrame(9, [], 0)])).refusal).toBe("INVALID: a frame that is no chunk");
  const unreadable = Buffer.from([34, 0xff, 0xff]);
  expect((await say([greeting, batchFrame(2, [unreadable], 3)])).refusal).toMatch(
    /^INVALID: a chunk that cannot be read/,
  );
  expect(await say([greeting, putHead(1, name(7), 2 * 1024 * 1024)])).toMatchObject({ answers: [], refusal: "" });
  expect((await say([greeting, put], 1)).answers).toEqual([3]);
});

test("random and bent bytes end their own connection at most", async () => {
  const random = seededRandom(4);
  for (let i = 0; i < 20; i++) await say([random.bytes(1 + Math.floor(random.unit() * 80))], 0);
  await fc.assert(
    fc.asyncProperty(badBytes(put, Buffer.concat([greeting, put])), fc.boolean(), async (bytes, isGreeted) => {
      await say(isGreeted ? [greeting, bytes] : [bytes], 0);
      for (const { size } of shelf.taken) expect(size).toBeLessThanOrEqual(bytes.length);
      shelf.taken = [];
    }),
    { numRuns: 120, seed: 6 },
  );
  expect((await say([greeting, put], 1)).answers).toEqual([3]);
});
