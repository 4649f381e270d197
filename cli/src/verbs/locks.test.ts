import { expect, test } from "vitest";
import { exitCodeOf } from "./locks.ts";

test("a command that ended by a signal hands on 128 and the number of the signal", () => {
  expect(exitCodeOf(null, "SIGTERM")).toBe(143);
  expect(exitCodeOf(null, "SIGKILL")).toBe(137);
  expect(exitCodeOf(null, "SIGINT")).toBe(130);
});

test("a command that ended by itself hands on its code", () => {
  expect([exitCodeOf(0, null), exitCodeOf(7, null)]).toEqual([0, 7]);
});
