import { DownloadFrame, UploadFrame } from "@nexus-federation/proto/files.ts";
import { ChunkFrame, type Handshake, PeerFrame } from "@nexus-federation/proto/peer.ts";
import { WitnessBatch } from "@nexus-federation/proto/raft.ts";
import { RequestFrame, ResponseFrame } from "@nexus-federation/proto/request.ts";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { badBytes } from "../base/testing/bent.ts";
import { ChunkReader, chunkFrames, decodeChunkFrame, snapshotData, snapshotFrames } from "./bulk-frames.ts";
import { decodeDownloadFrame, decodeUploadFrame, encodeDownloadFrame, encodeUploadFrame } from "./content-frames.ts";
import { batchFrame, handshakeFrame, readField, readHandshake } from "./frames.ts";
import { decodeMessage } from "./wire-codec.ts";

const numRuns = 500;
const incarnation = Buffer.alloc(16, 7);
const handshake: Handshake = {
  ...{ federation: "acme", box: "a", incarnation, toBox: "b", toIncarnation: incarnation },
  ...{ featureLevel: 1, version: "1" },
};
const op = { $case: "read" as const, value: { path: "/some/file", infoOnly: false } };
const request = Buffer.from(RequestFrame.encode({ requests: [{ id: 3, options: undefined, zone: "", op }] }).finish());
const upload = encodeUploadFrame({ header: undefined, data: Buffer.from("content") });

/** Anything but an error of ours or of the reader is a mistake in our code. */
function isRefused(error: unknown): void {
  expect(error).toBeInstanceOf(Error);
  expect(error).not.toBeInstanceOf(TypeError);
  expect((error as Error).message).not.toBe("");
}

/** What was read; undefined when it was refused. */
function readOf<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    isRefused(error);
    return undefined;
  }
}

describe("frames that nobody wrote", () => {
  test("a handshake is read whole or not at all", () => {
    fc.assert(
      fc.property(badBytes(handshakeFrame(handshake)), (bytes) => {
        const read = readHandshake(bytes);
        if (read !== undefined) expect(typeof read.box).toBe("string");
      }),
      { numRuns },
    );
  });

  test("a batch is a view of the frame, whole, or nothing", () => {
    const frame = batchFrame(2, [request, request], request.length * 2);
    fc.assert(
      fc.property(badBytes(frame), (bytes) => {
        const read = readField(bytes, 2);
        if (read !== undefined) expect(read.length).toBeLessThan(bytes.length);
      }),
      { numRuns },
    );
  });

  test.each([
    ["requests", RequestFrame, request],
    ["responses", ResponseFrame, request],
    ["peer frames", PeerFrame, handshakeFrame(handshake)],
    ["witness batches", WitnessBatch, request],
    ["upload frames", UploadFrame, upload],
    ["download frames", DownloadFrame, upload],
  ])("%s decode or are refused", (_, type, sample) => {
    fc.assert(
      fc.property(badBytes(sample), (bytes) => {
        readOf(() => decodeMessage(type as typeof RequestFrame, bytes));
      }),
      { numRuns },
    );
  });

  test("content frames decode or are refused, and hold no more than came", () => {
    const download = encodeDownloadFrame({ head: undefined, data: Buffer.from("content") });
    fc.assert(
      fc.property(badBytes(upload, download), (bytes) => {
        for (const decode of [decodeUploadFrame, decodeDownloadFrame]) {
          const frame = readOf(() => decode(Buffer.from(bytes)));
          expect(frame?.data.length ?? 0).toBeLessThanOrEqual(bytes.length);
        }
      }),
      { numRuns },
    );
  });

  test("a frame of a chunk is read as the generated code reads it, and refused when that refuses it", () => {
    const frames = [...chunkFrames({ address: Buffer.alloc(33, 1), log: 70_000 }, Buffer.alloc(300_000, 1))];
    for (const frame of frames) expect(decodeChunkFrame(frame)).toEqual(ChunkFrame.decode(frame));
    fc.assert(
      fc.property(
        badBytes(frames[1]!.subarray(0, 200), ...chunkFrames({ address: Buffer.alloc(33), log: 1 }, request)),
        (bytes) => {
          const expected = readOf(() => ChunkFrame.decode(bytes));
          expect(readOf(() => decodeChunkFrame(Buffer.from(bytes)))).toEqual(expected);
        },
      ),
      { numRuns },
    );
  });

  test("a chunk of bent frames is refused, or has the bytes that its name promised", () => {
    const data = Buffer.alloc(3000, 1);
    const frames = [...chunkFrames({ address: Buffer.alloc(33, 1), log: 1 }, data)];
    fc.assert(
      fc.property(badBytes(...frames), (bytes) => {
        const reader = new ChunkReader();
        const chunk = readOf(() => {
          reader.take(decodeChunkFrame(Buffer.from(bytes)));
          return reader.whole();
        });
        expect(chunk?.data.length ?? 0).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns },
    );
  });

  test("a snapshot whose frames were bent is refused, or ends with what was sent", async () => {
    const start = { log: 1, generation: 1, index: 5, term: 1, epoch: 0, conf: Buffer.alloc(4), applied: 5 } as never;
    const source = async function* () {
      yield Buffer.from("some state");
    };
    const frames: Buffer[] = [];
    for await (const frame of snapshotFrames(start, source())) frames.push(frame);
    const data = frames[1]!;
    await fc.assert(
      fc.asyncProperty(badBytes(data), async (bytes) => {
        const sent = [bytes, frames[2]!].map((each) => Buffer.from(each))[Symbol.iterator]();
        const iterator = { next: async () => sent.next() } as AsyncIterator<Buffer>;
        const parts: Uint8Array[] = [];
        try {
          for await (const part of snapshotData(iterator)) parts.push(part);
        } catch (error) {
          return isRefused(error);
        }
        expect(Buffer.concat(parts).toString()).toBe("some state");
      }),
      { numRuns: 300 },
    );
  });
});
