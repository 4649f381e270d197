import { expect, test } from "vitest";
import { Pace } from "./pace.ts";

test("a short queue means no wait, however slow it is", () => {
  const pace = new Pace();
  for (let ms = 0; ms < 1_000; ms += 50) expect(pace.waitMs(ms, 200, 0)).toBe(0);
});

test("a long queue waits for as long as its length takes at the pace of late", () => {
  const pace = new Pace();
  expect(pace.waitMs(0, 1_000, 0)).toBe(0);
  expect(pace.waitMs(50, 1_000, 100)).toBe(0);
  expect(pace.waitMs(100, 1_000, 200)).toBe(500);
  expect(pace.waitMs(110, 3_000, 220)).toBe(1_500);
});

test("a pace that changes is followed", () => {
  const pace = new Pace();
  for (let ms = 0; ms <= 1_000; ms += 100) pace.waitMs(ms, 1_000, ms * 2);
  let wait = 0;
  for (let ms = 1_100; ms <= 3_000; ms += 100) wait = pace.waitMs(ms, 1_000, 2_000 + (ms - 1_000) * 10);
  expect(wait).toBeCloseTo(100, 0);
});

test("a queue that was short in between is measured anew", () => {
  const pace = new Pace();
  pace.waitMs(0, 1_000, 0);
  expect(pace.waitMs(100, 1_000, 10)).toBe(10_000);
  expect(pace.waitMs(200, 5, 1_000)).toBe(0);
  expect(pace.waitMs(300, 1_000, 1_000)).toBe(0);
});

test("while nothing is worked off at all the wait is not known", () => {
  const pace = new Pace();
  for (let ms = 0; ms < 1_000; ms += 100) expect(pace.waitMs(ms, 1_000, 0)).toBe(0);
});
