import { expect, test } from "vitest";
import { type Refusal, refuse } from "./errors.ts";
import { failureOf, refusalOfFailure, saysNothingOfBefore } from "./failure.ts";

test("a refusal comes through the wire with all it says", () => {
  const full: Refusal = {
    ...refuse("LOCKED", "somebody else holds it", { retryAfterMs: 50, leaderBox: "b", details: { holders: "ann" } }),
    applied: true,
    epoch: 7,
  };

  expect(refusalOfFailure(failureOf(full))).toEqual(full);
  expect(refusalOfFailure(failureOf(refuse("NOT_FOUND", "nothing there")))).toMatchObject({ code: "NOT_FOUND" });
});

test("a code of a newer version, or a name that every object has, becomes INTERNAL and keeps its sentence", () => {
  for (const code of ["FROM_THE_FUTURE", "toString"]) {
    const refusal = refusalOfFailure({ ...failureOf(refuse("INTERNAL", "what happened")), code, applied: true });

    expect(refusal).toMatchObject({ code: "INTERNAL", message: `${code}: what happened`, applied: true });
  }
});

test("a refusal leaves open what became of an earlier attempt unless the state machine spoke of it", () => {
  const open = (code: Refusal["code"], hasReceipt: boolean, applied = false) =>
    saysNothingOfBefore({ ...failureOf(refuse(code, "no")), applied }, hasReceipt);

  expect([open("DENIED", false), open("GENERATION_CHANGED", true), open("EXPIRED", true)]).toEqual([true, true, true]);
  expect(open("OVERLOADED", true)).toBe(true);
  expect([open("PRECONDITION_FAILED", true), open("LOCKED", false), open("DENIED", false, true)]).toEqual([
    false,
    false,
    false,
  ]);
});
