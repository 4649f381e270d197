import fc from "fast-check";
import { expect, test } from "vitest";
import { badBytes } from "../base/testing/bent.ts";
import * as format from "./format.ts";

const salt = 99;
const place = { segment: 3, offset: format.segmentHeaderBytes };

function segment(): Buffer {
  const bytes = Buffer.alloc(512);
  format.writeSegmentHeader(bytes, { version: 1, segment: 3, salt, previousCrc: 0, previousEnd: 0 });
  const frame = bytes.subarray(place.offset, place.offset + 200);
  frame.fill(7, format.frameHeaderBytes);
  format.sealFrame(frame, { previousCrc: 5, place, synced: place, salt });
  return bytes;
}

test("bent and random segments are read as what was written, or not at all", () => {
  const written = segment();
  fc.assert(
    fc.property(badBytes(written), (raw) => {
      const bytes = Buffer.from(raw);
      const header = format.readSegmentHeader(bytes);
      if (header !== undefined) expect(header).toEqual(format.readSegmentHeader(written));
      const frame = format.readFrame(bytes, place, salt);
      if (frame === undefined) return;
      const end = place.offset + frame.lengthBytes;
      expect(bytes.subarray(place.offset, end).equals(written.subarray(place.offset, end))).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

test("looking for a frame in rubbish ends, within the bytes that are there", () => {
  fc.assert(
    fc.property(badBytes(segment()), fc.nat(600), (raw, offset) => {
      const found = format.findFrame(Buffer.from(raw), { segment: 3, offset }, salt);
      if (found !== undefined) expect(found.place.offset + found.lengthBytes).toBeLessThanOrEqual(raw.length);
    }),
    { numRuns: 1000 },
  );
});
