import { expect, test } from "vitest";
import { type Refusal, refuse } from "./errors.ts";
import { failureOf, refusalOfFailure } from "./failure.ts";

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
