import type { Clock } from "@nexus-federation/node/base/clock.ts";
import { stillClock } from "@nexus-federation/node/base/testing/still-clock.ts";
import { expect, test } from "vitest";
import { WitnessPulse } from "./witness-pulse.ts";

const witness = { box: "w", endpoint: "127.0.0.1:1" };

/** Greetings are answered by hand; `later` lets the next one fall due. */
function started() {
  let nowMs = 0;
  const clock: Clock = { ...stillClock, now: () => nowMs };
  const asked: ((why: string) => void)[] = [];
  const pulse = new WitnessPulse(clock, () => new Promise((resolve) => asked.push(resolve)));
  const later = async (why: string) => {
    asked.at(-1)!(why);
    await Promise.resolve();
    nowMs += 1_500;
    pulse.look([witness]);
  };
  pulse.look([witness]);
  return { pulse, asked, later };
}

test("a witness that leaves two greetings in a row unanswered is silent, until it answers one", async () => {
  const { pulse, later } = started();

  await later("no handshake");
  expect([...pulse.silent]).toEqual([]);
  await later("no handshake");
  expect([...pulse.silent]).toEqual([["w", "no handshake"]]);
  await later("");
  expect([...pulse.silent]).toEqual([]);
});

test("one greeting is under way at a time, and one that is not due is not made", async () => {
  const { pulse, asked } = started();

  pulse.look([witness]);
  expect(asked).toHaveLength(1);
  asked[0]!("");
  await Promise.resolve();
  pulse.look([witness]);
  expect(asked).toHaveLength(1);
});

test("a witness that runs no more is forgotten", async () => {
  const { pulse, later } = started();
  await later("no handshake");
  await later("no handshake");

  pulse.look([]);

  expect([...pulse.silent]).toEqual([]);
});
