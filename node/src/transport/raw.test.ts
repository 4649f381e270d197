import { PeerFrame, WitnessFrame } from "@nexus-federation/proto/peer.ts";
import { PeerBatch, WitnessBatchReply } from "@nexus-federation/proto/raft.ts";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { selfOf } from "./federation.fixture.ts";
import { batchFrame, handshakeFrame, readField, readHandshake } from "./frames.ts";
import { handshakeOf } from "./handshake.ts";
import { FrameWriter, type WriterLimits } from "./raw.ts";

describe("frames", () => {
  test("batches written by hand are what the proto code reads", () => {
    const one = PeerBatch.encode({ messages: [], loadDelayMs: 7 }).finish();
    const reply = WitnessBatchReply.encode({
      replies: [{ sequence: 5, term: 2, ok: true, epoch: 0, incarnation: Buffer.alloc(0), error: "" }],
    }).finish();

    expect(PeerFrame.decode(batchFrame(2, [one], one.length)).batch?.loadDelayMs).toBe(7);
    const two = WitnessFrame.decode(batchFrame(3, [reply, reply], 2 * reply.length));
    expect(two.replies?.replies.map(({ sequence }) => sequence)).toEqual([5, 5]);
  });

  test("what is wrapped is unwrapped as a view, whatever its length", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20_000 }), { maxLength: 4 }), (messages) => {
        const joined = Buffer.concat(messages);
        const frame = batchFrame(2, messages, joined.length);

        const batch = readField(frame, 2);

        expect(Buffer.compare(batch ?? Buffer.from("none"), joined)).toBe(0);
        expect(batch?.buffer).toBe(frame.buffer);
      }),
    );
  });

  test("bytes from anybody are either a field or refused, never an error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        readField(bytes, 2);
        readHandshake(bytes);
        readHandshake(batchFrame(1, [bytes], bytes.length));
      }),
    );
  });

  test("a handshake survives, and nothing else passes for one", () => {
    const handshake = handshakeOf(selfOf("a"), { box: "b", incarnation: new Uint8Array(16) });
    const frame = handshakeFrame(handshake);

    expect(readHandshake(frame)).toEqual(handshake);
    expect(PeerFrame.decode(frame).handshake).toEqual(handshake);
    expect(readHandshake(frame.subarray(0, -1))).toBeUndefined();
    expect(readHandshake(batchFrame(2, [frame], frame.length))).toBeUndefined();
  });
});

describe("the frame writer", () => {
  const limits: WriterLimits = { queueBytesMax: 100, idleBytesMax: 20, flightBytesMax: 50, frameBytesMax: 30 };

  function bench(overflow: "drop-oldest" | "refuse") {
    const turns: (() => void)[] = [];
    const frames: string[] = [];
    const written: (() => void)[] = [];
    const writer = new FrameWriter((fn) => turns.push(fn), { field: 2, overflow, limits });
    const sink = {
      write(frame: Buffer, done: () => void) {
        frames.push(Buffer.from(readField(frame, 2) ?? []).toString());
        written.push(done);
        return true;
      },
    };
    const turn = () => {
      for (const fn of turns.splice(0)) fn();
    };
    const push = (text: string) => writer.push(Buffer.from(text));
    return { writer, sink, frames, written, turn, push };
  }

  test("what is pushed in one turn leaves as one frame", () => {
    const { writer, sink, frames, turn, push } = bench("refuse");
    writer.open(sink);

    push("ab");
    push("cd");
    expect(frames).toEqual([]);
    turn();
    push("ef");
    turn();

    expect(frames).toEqual(["abcd", "ef"]);
    expect(writer.queuedBytes).toBe(0);
  });

  test("a frame is closed at its limit, a single larger message makes a larger one", () => {
    const { writer, sink, frames, written, turn, push } = bench("refuse");
    writer.open(sink);

    push("a".repeat(20));
    push("b".repeat(20));
    push("c".repeat(45));
    turn();
    for (const done of written.splice(0)) done();
    turn();

    expect(frames.map((frame) => frame.length)).toEqual([20, 20, 45]);
  });

  test("a congested stream is not written to until it drains", () => {
    const { writer, sink, frames, written, turn, push } = bench("refuse");
    writer.open(sink);
    push("x".repeat(60));
    turn();

    push("later");
    turn();
    expect(frames).toHaveLength(1);
    expect(writer.queuedBytes).toBe(5);
    written.shift()?.();
    turn();

    expect(frames).toHaveLength(2);
  });

  test("requests beyond the queue are refused, and forgotten when the stream goes", () => {
    const { writer, sink, push } = bench("refuse");
    writer.open(sink);
    expect(push("x".repeat(90))).toBe(true);

    expect(push("x".repeat(20))).toBe(false);
    writer.close();

    expect(writer.queuedBytes).toBe(0);
  });

  test("raft messages beyond the queue push out the oldest", () => {
    const { writer, sink, frames, turn, push } = bench("drop-oldest");

    for (const text of ["1".repeat(8), "2".repeat(8), "3".repeat(8)]) expect(push(text)).toBe(true);
    expect(writer.dropped).toBe(1);
    writer.open(sink);
    turn();

    expect(frames.join("")).toContain("2".repeat(8));
    expect(frames.join("")).not.toContain("1");
  });

  test("written notices of a former stream do not count for the next", () => {
    const { writer, sink, written, turn, push } = bench("drop-oldest");
    writer.open(sink);
    push("x".repeat(60));
    turn();
    writer.close();
    const other = { write: () => true };
    writer.open(other);
    push("y".repeat(60));
    turn();

    written.shift()?.();
    push("z");
    turn();

    expect(writer.queuedBytes).toBe(1);
  });
});
