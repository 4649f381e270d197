import { expect, test } from "vitest";
import { parseCount, parseDuration, parseSpan } from "./durations.ts";

test("a duration has a unit or is seconds, whole or not", () => {
  const all = ["5", "0", "500ms", "1.5s", "2m", "1h", "0.0004s"].map((text) => parseDuration(text, "--timeout"));

  expect(all).toEqual([5000, 0, 500, 1500, 120_000, 3_600_000, 0]);
});

test.each(["", "soon", "-5s", "5 s", "1d", ".5s", "5.s", "99999999h"])("%j is no duration, and why is said", (text) => {
  expect(() => parseDuration(text, "--wait")).toThrow(/^--wait: /);
});

test("a span is more than nothing", () => {
  expect(parseSpan("1ms", "--timeout")).toBe(1);
  expect(() => parseSpan("0", "--timeout")).toThrow('--timeout: expected more than 0, got "0"');
});

test("a count is whole and not below its least", () => {
  expect(parseCount("0", "-n")).toBe(0);
  expect(() => parseCount("0", "--clients", { least: 1 })).toThrow(
    '--clients: expected a whole number from 1 on, got "0"',
  );
  expect(() => parseCount("7", "--size", { most: 6 })).toThrow('from 0 to 6, got "7"');
  expect(() => parseCount("1.5", "-n")).toThrow("whole number");
});
