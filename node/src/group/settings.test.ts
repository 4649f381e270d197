import { expect, test } from "vitest";
import { timingOf } from "./settings.ts";

test("timing of one's own is read as the operator writes it, and goes SOLO before an election is due", () => {
  // The same text stands in operator/src/api/defaults.test.ts.
  const timing = timingOf('{"electionMs":400,"heartbeatMs":80}');

  expect(timing).toEqual({ electionMs: 400, heartbeatMs: 80, soloAfterMs: 320 });
});

test("a timing that could never elect, or that names nothing known, is refused with what is wrong", () => {
  expect(timingOf("moon")).toMatchObject({ code: "INVALID" });
  expect(timingOf('{"electionMs":100,"heartbeatMs":80}')).toMatchObject({ code: "INVALID" });
  expect(timingOf('{"electionTimeoutMs":400}')).toMatchObject({ code: "INVALID" });
});
