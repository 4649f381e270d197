import { type ClientDuplexStream, Metadata } from "@grpc/grpc-js";
import type { Handshake } from "@nexus-federation/proto/peer.ts";
import { afterAll, expect, test } from "vitest";
import { Authority } from "./authority.ts";
import { clientToBox } from "./channel.ts";
import { ServeLog } from "./compliance.fixture.ts";
import type { Credentials } from "./credentials.ts";
import { boxCredentials, selfOf, startBox } from "./federation.fixture.ts";
import { batchFrame, handshakeFrame } from "./frames.ts";
import { handshakeOf } from "./handshake.ts";
import { streamMethods } from "./raw.ts";

// What a box answers to callers that hold a certificate of its own authority and still do not play by the rules.

const authority = await Authority.create("acme", Date.now());
const serve = new ServeLog();
const b = await startBox(authority, selfOf("b"), { serve: { raft: serve } });
afterAll(() => b.stop());

const toB = { box: "b", incarnation: selfOf("b").incarnation };

/** Opens a raft stream, writes the frames, and tells how it ended. */
function knock(own: Credentials, frames: Buffer[]): Promise<string> {
  const client = clientToBox({ own, federation: "acme", box: "b", endpoint: `127.0.0.1:${b.port}` });
  const { path, requestSerialize, responseDeserialize } = streamMethods.raft;
  const stream: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    new Metadata(),
  );
  return new Promise<string>((resolve) => {
    stream.on("data", () => resolve("greeted"));
    stream.on("error", (error) => resolve(error.message));
    for (const frame of frames) stream.write(frame);
  }).finally(() => {
    stream.on("error", () => {});
    stream.cancel();
    client.close();
  });
}

async function greet(change: Partial<Handshake>, identity = "a"): Promise<string> {
  const handshake = { ...handshakeOf(selfOf("a"), toB), ...change };
  return knock(await boxCredentials(authority, identity), [handshakeFrame(handshake)]);
}

test("a proper handshake is answered", async () => {
  expect(await greet({})).toBe("greeted");
});

test("a handshake in another box's name is refused", async () => {
  expect(await greet({ box: "c" })).toContain("the handshake says box c, its certificate a");
});

test("a handshake of another federation, or for another box, is refused", async () => {
  expect(await greet({ federation: "globex" })).toContain("this is federation acme");
  expect(await greet({ toBox: "c" })).toContain("this is box b, the caller means c");
});

test("a handshake without incarnations, or for a former one, is refused", async () => {
  expect(await greet({ incarnation: Buffer.alloc(3) })).toContain("an incarnation is 16 bytes");
  expect(await greet({ toIncarnation: Buffer.alloc(0) })).toContain("another incarnation");
  expect(await greet({ toIncarnation: Buffer.alloc(16) })).toContain("another incarnation");
});

test("users and operators of the federation do not get into the streams of boxes", async () => {
  for (const kind of ["user", "operator"] as const) {
    const own = await authority.issue({ kind, id: "a" }, { nowMs: Date.now() });

    expect(await knock(own, [handshakeFrame(handshakeOf(selfOf("a"), toB))])).toContain("a box is expected here");
  }
});

test("a message before the handshake, and bytes that are no frame, end the stream", async () => {
  const own = await boxCredentials(authority, "a");

  expect(await knock(own, [batchFrame(2, [Buffer.from("x")], 1)])).toContain("the first frame must be a handshake");
  expect(await knock(own, [Buffer.from("rubbish")])).toContain("the first frame must be a handshake");
  expect(serve.text).toBe("");
});

test("a frame that is no batch ends a greeted stream", async () => {
  const before = serve.closedCount;
  const own = await boxCredentials(authority, "a");

  await knock(own, [handshakeFrame(handshakeOf(selfOf("a"), toB)), Buffer.from("rubbish")]);

  while (serve.closedCount === before) await new Promise((resolve) => setImmediate(resolve));
  expect(serve.text).toBe("");
});
