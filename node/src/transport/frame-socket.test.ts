import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { afterAll, expect, test } from "vitest";
import { Authority } from "./authority.ts";
import { socketToBox } from "./channel.ts";
import { LinkLog, ServeLog } from "./compliance.fixture.ts";
import { dial } from "./dial.ts";
import { boxCredentials, peerSettings, selfOf, startBox, until } from "./federation.fixture.ts";
import { FrameSocket, protocolOf } from "./frame-socket.ts";
import { batchFrame, handshakeFrame, readField, readHandshake } from "./frames.ts";
import { handshakeOf } from "./handshake.ts";
import { Listener } from "./listener.ts";
import { TlsNetwork } from "./network.ts";
import { systemClock, systemRandom } from "./system-clock.ts";

// Streams between boxes that travel without gRPC, and a box that knows gRPC alone.

const serving = { clock: systemClock, role: "server" as const };
const authority = await Authority.create("acme", Date.now());
const serve = new ServeLog({ echo: true });
const b = await startBox(authority, selfOf("b"), { serve: { raft: new ServeLog(), forward: serve } });
afterAll(() => b.stop());
const own = await boxCredentials(authority, "a");
const toB = { box: "b", incarnation: selfOf("b").incarnation };
const greeting = handshakeFrame(handshakeOf(selfOf("a"), toB));

/** Calls b's forward service and tells what the first frame, or the end, was. */
function call(first: Buffer): Promise<Buffer | string> {
  const target = { own, federation: "acme", box: "b", endpoint: `127.0.0.1:${b.port}`, service: "forward" as const };
  const { promise, resolve } = Promise.withResolvers<Buffer | string>();
  const stream = dial({ ...target, greeting: first }, systemClock, { frame: resolve, over: resolve });
  return promise.finally(() => stream.destroy());
}

test("a greeting is answered by the other box's", async () => {
  const answer = await call(greeting);

  expect(readHandshake(answer as Buffer)?.box).toBe("b");
});

test("who is refused is told why, and the stream ends", async () => {
  const other = handshakeFrame(handshakeOf(selfOf("a"), { box: "c", incarnation: toB.incarnation }));

  expect(await call(other)).toBe("DENIED: this is box b, the caller means c");
  expect(await call(batchFrame(2, [Buffer.from("x")], 1))).toBe("INVALID: the first frame must be a handshake");
});

const socketToB = () =>
  socketToBox({ own, federation: "acme", box: "b", endpoint: `127.0.0.1:${b.port}` }, [protocolOf("forward")]);

test("bytes that are no frames end the connection and nothing else", async () => {
  const socket = socketToB();
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {});
  socket.write("GET / HTTP/1.1\r\n\r\n");

  await closed;

  expect(readHandshake((await call(greeting)) as Buffer)?.box).toBe("b");
});

test("a box that is asked whether it is there says so", async () => {
  const life = batchFrame(14, [], 0);
  const socket = socketToB();
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  let heard = Buffer.alloc(0);
  socket.on("data", (bytes: Buffer) => {
    heard = Buffer.concat([heard, bytes]);
    if (heard.subarray(-2).equals(life)) resolve(heard);
  });
  socket.write(greeting);
  socket.write(life);

  await promise;

  socket.destroy();
});

test("who asks without end whether somebody is there, and reads nothing, is answered no more than it takes", () => {
  const written: number[] = [];
  const socket = new Duplex({
    highWaterMark: 1024,
    read: () => {},
    write: (bytes: Buffer) => void written.push(bytes.length),
  });
  const events = { frame: () => {}, over: () => {} };
  const server = new FrameSocket(
    Object.assign(socket, { setNoDelay: () => {} }) as unknown as TLSSocket,
    serving,
    events,
  );
  const asked = Buffer.concat(Array.from({ length: 1000 }, () => batchFrame(14, [], 0)));

  for (let i = 0; i < 10_000; i++) socket.emit("data", asked);

  expect(written).toEqual([2]);
  expect(socket.writableLength).toBeLessThanOrEqual(1024);
  server.destroy();
});

test("frames that come while it is paused are kept in their order, and the caller hears that somebody is there", async () => {
  const credentials = await boxCredentials(authority, "e");
  const listener = new Listener(peerSettings(credentials));
  const heard: string[] = [];
  const accepted = Promise.withResolvers<FrameSocket>();
  listener.onFrames("paused/1", (socket) => {
    const needs = { clock: systemClock, role: "server" as const };
    const frames = new FrameSocket(socket, needs, {
      frame: (frame) => {
        heard.push(String(readField(frame, 2)));
        if (heard.length === 1) frames.pause();
      },
      over: () => {},
    });
    accepted.resolve(frames);
  });
  const endpoint = `127.0.0.1:${await listener.start()}`;
  const socket = socketToBox({ own, federation: "acme", box: "e", endpoint }, ["paused/1"]);
  const alive = new Promise<Buffer>((resolve) => socket.once("data", resolve));
  socket.write(Buffer.concat(["one", "two", "three"].map((text) => batchFrame(2, [Buffer.from(text)], text.length))));

  expect(await alive).toEqual(batchFrame(14, [], 0));
  expect(heard).toEqual(["one"]);
  (await accepted.promise).resume();
  expect(heard).toEqual(["one", "two", "three"]);

  socket.destroy();
  await listener.stop();
});

test("a box that knows gRPC alone is called by gRPC", async () => {
  const credentials = await boxCredentials(authority, "d");
  const needs = { clock: systemClock, random: systemRandom, self: selfOf("d"), credentials: () => credentials };
  const earlier = new TlsNetwork(needs);
  earlier.onServe("forward", new ServeLog({ echo: true }));
  const listener = new Listener(peerSettings(credentials));
  earlier.serveOn({ grpc: listener.grpc, onFrames: () => {} });
  const port = await listener.start();
  const caller = await startBox(authority, selfOf("a"), { serve: {} });
  const log = new LinkLog();
  caller.network.onLink("forward", log);
  const { incarnation } = selfOf("d");

  caller.network.setPeer({ box: "d", endpoint: `127.0.0.1:${port}`, incarnation, services: ["forward"] });
  await until(() => caller.network.isUp("forward", "d"));
  caller.network.send("forward", "d", Buffer.from("x"));
  await until(() => log.text === "re:x");

  await caller.stop();
  await earlier.stop();
  await listener.stop();
});
