import { expect, test } from "vitest";
import { timingOf } from "./defaults.ts";

test("timing of one's own is told in the words that the boxes read", () => {
  // The same text stands in node/src/group/settings.test.ts.
  expect(timingOf({ electionTimeout: "400ms", heartbeatInterval: "80ms" })).toBe('{"electionMs":400,"heartbeatMs":80}');
});

test("a profile is told by its name, region where none is given", () => {
  expect(timingOf({ profile: "wan" })).toBe("wan");
  expect(timingOf({})).toBe("region");
});
