import { expect, test } from "vitest";
import type { Call } from "./history.ts";
import { isLinearizable } from "./linearizable.ts";

function call(kind: Call["kind"], value: string, span: [number, number], more: Partial<Call> = {}): Call {
  const [invoked, returned] = span;
  const times = { invokedMs: invoked, answeredMs: returned };
  const base = { client: 1, path: "/r", expected: "", stale: false, local: true, code: "", receipt: undefined };
  return { ...base, kind, value, invoked, returned, ...times, outcome: "ok", ...more };
}

test("calls one after the other must be explained in their order", () => {
  expect(isLinearizable([call("write", "1", [1, 2]), call("read", "1", [3, 4])])).toBe(true);
  expect(isLinearizable([call("write", "1", [1, 2]), call("read", "", [3, 4])])).toBe(false);
});

test("a read beside a write may see either, and later reads not the older one again", () => {
  const write = call("write", "1", [1, 6]);
  expect(isLinearizable([write, call("read", "", [2, 3]), call("read", "1", [4, 5])])).toBe(true);
  expect(isLinearizable([write, call("read", "1", [2, 3]), call("read", "", [4, 5])])).toBe(false);
});

test("a write of unknown fate may be seen late or never, but not taken back", () => {
  const lost = call("write", "1", [1, 2], { outcome: "unknown" });
  expect(isLinearizable([lost, call("read", "", [3, 4]), call("read", "1", [5, 6])])).toBe(true);
  expect(isLinearizable([lost, call("read", "", [3, 4])])).toBe(true);
  expect(isLinearizable([lost, call("read", "1", [3, 4]), call("read", "", [5, 6])])).toBe(false);
});

test("of two creations at once one must fail, and a write done twice is seen", () => {
  expect(isLinearizable([call("create", "1", [1, 3]), call("create", "2", [2, 4])])).toBe(false);
  expect(isLinearizable([call("create", "1", [1, 3]), call("create", "2", [2, 4], { outcome: "failed" })])).toBe(true);
  const twice = [call("write", "1", [1, 2]), call("write", "2", [3, 4]), call("read", "1", [5, 6])];
  expect(isLinearizable(twice)).toBe(false);
});

test("a swap needs what it expects at its place", () => {
  const write = call("write", "1", [1, 2]);
  expect(isLinearizable([write, call("cas", "2", [3, 4], { expected: "1" }), call("read", "2", [5, 6])])).toBe(true);
  expect(isLinearizable([write, call("cas", "2", [3, 4], { expected: "0" })])).toBe(false);
  expect(isLinearizable([write, call("cas", "2", [3, 4], { expected: "1", outcome: "failed" })])).toBe(false);
});
