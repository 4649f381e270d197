import { expect, test } from "vitest";
import { VirtualClock } from "../group/testing/virtual-clock.ts";
import { Silence } from "./silence.ts";

function rig() {
  const clock = new VirtualClock();
  const state = { owes: true, asked: 0, silent: 0 };
  const silence = new Silence(clock, {
    owes: () => state.owes,
    ask: () => state.asked++,
    silent: () => state.silent++,
  });
  return { clock, state, silence };
}

test("a box that owes an answer and says nothing is asked after 100 ms, and counts as silent 150 ms later", async () => {
  const { clock, state, silence } = rig();

  silence.sent();
  await clock.run(90);
  expect(state.asked).toBe(0);
  await clock.run(100);
  expect(state).toMatchObject({ asked: 1, silent: 0 });
  await clock.run(100);

  expect(state).toMatchObject({ asked: 1, silent: 1 });
  expect(silence.isSilent).toBe(true);
  silence.heard();
  expect(silence.isSilent).toBe(false);
});

test("a silent box is asked on and on, also when it owes nothing more, until it says a word or the stream ends", async () => {
  const { clock, state, silence } = rig();
  silence.sent();
  await clock.run(400);
  state.owes = false;
  const before = state.asked;
  await clock.run(1000);
  expect(state.asked - before).toBeGreaterThan(4);
  expect(state.silent).toBe(1);

  silence.heard();
  const after = state.asked;
  await clock.run(5000);

  expect(silence.isSilent).toBe(false);
  expect(state.asked).toBe(after);
});

test("a box that answers the question is slow, not silent, and is asked ever more rarely", async () => {
  const { clock, state, silence } = rig();
  silence.sent();
  let seen = 0;
  for (let ms = 0; ms < 5000; ms += 10) {
    await clock.run(10);
    if (state.asked > seen) silence.heard();
    seen = state.asked;
  }
  expect(state.silent).toBe(0);
  expect(state.asked).toBeGreaterThan(4);
  expect(state.asked).toBeLessThan(10);
});

test("a box that talks, or owes nothing, is not asked", async () => {
  const { clock, state, silence } = rig();
  silence.sent();
  for (let ms = 0; ms < 1000; ms += 50) {
    await clock.run(50);
    silence.heard();
  }
  state.owes = false;
  await clock.run(5000);
  expect(state).toMatchObject({ asked: 0, silent: 0 });
});

test("a box that is doubted is asked at once and has 40 ms to say a word; one that owes nothing is not asked", async () => {
  const { clock, state, silence } = rig();
  silence.sent();
  silence.doubt();
  expect(state.asked).toBe(1);
  await clock.run(30);
  expect(state.silent).toBe(0);
  await clock.run(20);
  expect(state.silent).toBe(1);

  const idle = rig();
  idle.state.owes = false;
  idle.silence.doubt();
  await idle.clock.run(1000);
  expect(idle.state).toMatchObject({ asked: 0, silent: 0 });
});

test("a box that answers a doubt is trusted again", async () => {
  const { clock, state, silence } = rig();
  silence.sent();
  silence.doubt();
  await clock.run(30);
  silence.heard();
  state.owes = false;
  await clock.run(1000);
  expect(state).toMatchObject({ asked: 1, silent: 0 });
});
