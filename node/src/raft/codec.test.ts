import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeConfChange, encodeConfChange, LEAVE_JOINT } from "./confchange/codec.ts";
import type { ConfChange } from "./types.ts";

const change: fc.Arbitrary<ConfChange> = fc.record({
  transition: fc.constantFrom(
    "ConfChangeTransitionAuto",
    "ConfChangeTransitionJointImplicit",
    "ConfChangeTransitionJointExplicit",
  ),
  changes: fc.array(
    fc.record({
      type: fc.constantFrom(
        "ConfChangeAddNode",
        "ConfChangeRemoveNode",
        "ConfChangeAddLearnerNode",
        "ConfChangeAddWitness",
      ),
      nodeId: fc.maxSafeNat(),
    }),
    { maxLength: 8 },
  ),
  context: fc.uint8Array({ maxLength: 40 }),
});

test("a configuration change survives its encoding", () => {
  fc.assert(
    fc.property(change, (before) => {
      expect(decodeConfChange(encodeConfChange(before))).toEqual(before);
    }),
  );
});

test("bytes that are no configuration change are refused, not misread", () => {
  fc.assert(
    fc.property(change, fc.nat({ max: 12 }), (before, kept) => {
      const bytes = encodeConfChange({ ...before, context: new Uint8Array(0) });
      const cut = bytes.subarray(0, Math.min(kept, bytes.length - 1));

      if (cut.length === 0) expect(decodeConfChange(cut)).toBe(LEAVE_JOINT);
      else expect(decodeConfChange(cut)).toBeUndefined();
    }),
  );
  expect(decodeConfChange(Uint8Array.of(2, 0, 0))).toBeUndefined();
});
