import fc from "fast-check";
import { expect, test } from "vitest";
import { badBytes } from "../base/testing/bent.ts";
import { FrameKind, frameBytes, readFrame, writeFrame } from "./format.ts";

test("bent and random record files are read as what was written, or not at all", () => {
  const changes = [{ incarnation: "0123456789abcdef", group: undefined }];
  const written = writeFrame({ kind: FrameKind.Changes, sequence: 4, changes });
  fc.assert(
    fc.property(badBytes(written), fc.nat(40), (raw, at) => {
      const frame = readFrame(Buffer.from(raw), at);
      if (frame === undefined) return;
      expect(frame.changes).toEqual(changes);
      expect(frame.lengthBytes).toBe(frameBytes(1));
    }),
    { numRuns: 1000 },
  );
});
