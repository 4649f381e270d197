import { expect, test } from "vitest";
import { isRefusal, type Refusal } from "../base/errors.ts";
import { Admission } from "./admission.ts";
import { defaultBoxLimits } from "./limits.ts";

/** A box that works off one change a millisecond, with `offered` that come in each. */
function flood(offered: number, timeoutMs: number) {
  let nowMs = 0;
  const admission = new Admission(defaultBoxLimits, { now: () => nowMs });
  const arrivals: number[] = [];
  const waits: number[] = [];
  const refusals: Refusal[] = [];
  for (; nowMs < 5_000; nowMs++) {
    for (let i = 0; i < offered; i++) {
      const refusal = admission.enterChange(timeoutMs);
      if (refusal === undefined) arrivals.push(nowMs);
      else refusals.push(refusal);
    }
    const arrived = arrivals.shift();
    if (arrived === undefined) continue;
    admission.leaveChange();
    waits.push(nowMs - arrived);
  }
  return { admission, refusals, waits: waits.slice(1_000) };
}

test("of four times what can be done as much is taken as is done in time, and the rest is refused", () => {
  const { waits, refusals, admission } = flood(4, 1_000);
  expect(Math.max(...waits)).toBeLessThan(1_000);
  expect(Math.max(...waits)).toBeGreaterThan(250);
  expect(refusals.length).toBeGreaterThan(13_000);
  expect(admission.load.refused).toBe(refusals.length);
  expect(refusals.at(-1)).toMatchObject({ code: "OVERLOADED" });
  expect(refusals.at(-1)?.retryAfterMs).toBeGreaterThan(500);
});

test("whoever has the time may wait behind a long queue", () => {
  const { admission } = flood(4, 1_000);
  expect(admission.enterChange(60_000)).toBeUndefined();
});

test("a time that is over already is no reason to say that there is no room", () => {
  expect(new Admission(defaultBoxLimits, { now: () => 0 }).enterChange(-1)).toBeUndefined();
});

test("what can be done is never refused", () => {
  expect(flood(1, 1_000).refusals).toEqual([]);
});

test("a transfer that stood still for long loses its place to the next one when there is none left, one that moves keeps it", () => {
  let nowMs = 0;
  const limits = { ...defaultBoxLimits, transfersMax: 2, transferStillMs: 100 };
  const admission = new Admission(limits, { now: () => nowMs });
  const ended: string[] = [];
  const enter = (name: string) => admission.enterTransfer(() => ended.push(name));
  const still = enter("still");
  const moving = enter("moving");
  if (isRefusal(still) || isRefusal(moving)) throw new Error("there is room for two");

  nowMs = 99;
  moving.moved(4096);
  expect(enter("early")).toMatchObject({ code: "OVERLOADED" });
  nowMs = 100;
  expect(isRefusal(enter("late"))).toBe(false);

  expect(ended).toEqual(["still"]);
  still.leave();
  expect(admission.load.transfers).toBe(2);
  expect(enter("another")).toMatchObject({ code: "OVERLOADED" });
  moving.leave();
  moving.leave();
  expect(admission.load.transfers).toBe(1);
});

test("a byte now and then keeps no place that others want, the same bytes in time do", () => {
  let nowMs = 0;
  const limits = { ...defaultBoxLimits, transfersMax: 2, transferStillMs: 1_000 };
  const admission = new Admission(limits, { now: () => nowMs });
  const ended: string[] = [];
  const enter = (name: string) => admission.enterTransfer(() => ended.push(name));
  const drop = enter("drop");
  const slow = enter("slow");
  if (isRefusal(drop) || isRefusal(slow)) throw new Error("there is room for two");

  for (; nowMs < 1_000; nowMs += 10) {
    drop.moved(1);
    slow.moved(50);
  }

  expect(isRefusal(enter("next"))).toBe(false);
  expect(ended).toEqual(["drop"]);
  expect(enter("another")).toMatchObject({ code: "OVERLOADED" });
});
