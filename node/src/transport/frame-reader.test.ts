import fc from "fast-check";
import { expect, test } from "vitest";
import { FrameReader } from "./frame-reader.ts";
import { batchFrame } from "./frames.ts";

const bytesMax = 100_000;

function frameOf(field: number, bytes: number): Buffer {
  return batchFrame(field, [Buffer.alloc(bytes, field)], bytes);
}

/** What comes out of a stream that arrives in such pieces, and why it was ended. */
function readIn(pieces: Buffer[]): { frames: Buffer[]; problem: string | undefined } {
  const frames: Buffer[] = [];
  const reader = new FrameReader(bytesMax, (frame) => frames.push(frame));
  for (const piece of pieces) {
    const problem = reader.push(piece, () => false);
    if (problem !== undefined) return { frames, problem };
  }
  return { frames, problem: undefined };
}

test("frames come out as they went in, wherever the stream is cut", () => {
  const frames = fc.array(fc.tuple(fc.integer({ min: 1, max: 15 }), fc.integer({ min: 0, max: 40_000 })), {
    maxLength: 8,
  });
  const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
  fc.assert(
    fc.property(frames, cuts, (shapes, shares) => {
      const sent = shapes.map(([field, bytes]) => frameOf(field, bytes));
      const stream = Buffer.concat(sent);
      const at = [0, ...shares.map((share) => Math.floor(share * stream.length)).sort((a, b) => a - b), stream.length];
      const pieces = at.slice(1).map((end, i) => stream.subarray(at[i]!, end));

      const { frames: read, problem } = readIn(pieces);

      expect(problem).toBeUndefined();
      expect(read.length).toBe(sent.length);
      expect(Buffer.compare(Buffer.concat(read), stream)).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test("a stream cut into single bytes is read", () => {
  const stream = Buffer.concat([frameOf(2, 300), frameOf(14, 0), frameOf(2, 1)]);

  const { frames } = readIn([...stream].map((byte) => Buffer.from([byte])));

  expect(frames.map((frame) => frame.length)).toEqual([303, 2, 3]);
});

test("a frame beyond the limit is refused by its head, before any of it is kept", () => {
  const head = frameOf(2, bytesMax).subarray(0, 4);

  expect(readIn([head]).problem).toBe(`a frame of ${bytesMax + 4} bytes, at most ${bytesMax} are taken`);
});

test("bytes that are no frame end the stream", () => {
  expect(readIn([Buffer.from("GET / HTTP/1.1\r\n")]).problem).toBe("bytes that are no frame");
  expect(readIn([Buffer.from([0x12, 0xff, 0xff, 0xff, 0xff, 0xff])]).problem).toBe("bytes that are no frame");
});

test("whatever comes, reading ends with frames or a reason", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 }), (pieces) => {
      const { frames } = readIn(pieces.map((piece) => Buffer.from(piece)));
      for (const frame of frames) expect(frame.length).toBeGreaterThan(1);
    }),
    { numRuns: 500 },
  );
});

test("after the last word nothing more of what arrived with it is told", () => {
  const frames: Buffer[] = [];
  const reader = new FrameReader(bytesMax, (frame) => frames.push(frame));

  reader.push(Buffer.concat([frameOf(15, 3), frameOf(2, 3)]), () => frames.length > 0);

  expect(frames.length).toBe(1);
});
