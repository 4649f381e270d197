import { expect, test } from "vitest";
import { VirtualClock } from "../group/testing/virtual-clock.ts";
import { Silence } from "./silence.ts";

/** Of a box that has answered one question `roundTripMs` after it was asked. */
async function rig(roundTripMs = 0) {
  const clock = new VirtualClock();
  const state = { owes: true, asked: 0, silent: 0, question: 0 };
  const silence = new Silence(clock, {
    owes: () => state.owes,
    ask: (id) => {
      state.asked++;
      state.question = id;
    },
    silent: () => state.silent++,
  });
  silence.sent();
  await clock.run(roundTripMs);
  silence.heard();
  silence.answered(state.question);
  state.owes = false;
  await clock.run(2000);
  Object.assign(state, { owes: true, asked: 0 });
  return { clock, state, silence };
}

test("a box that owes an answer and says nothing is asked after 100 ms, and counts as silent 150 ms later", async () => {
  const { clock, state, silence } = await rig();

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
  const { clock, state, silence } = await rig();
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
  const { clock, state, silence } = await rig();
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
  const { clock, state, silence } = await rig();
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
  const { clock, state, silence } = await rig();
  silence.sent();
  silence.doubt();
  expect(state.asked).toBe(1);
  await clock.run(30);
  expect(state.silent).toBe(0);
  await clock.run(20);
  expect(state.silent).toBe(1);

  const idle = await rig();
  idle.state.owes = false;
  idle.silence.doubt();
  await idle.clock.run(1000);
  expect(idle.state).toMatchObject({ asked: 0, silent: 0 });
});

test("a box that answers a doubt is trusted again", async () => {
  const { clock, state, silence } = await rig();
  silence.sent();
  silence.doubt();
  await clock.run(30);
  silence.heard();
  state.owes = false;
  await clock.run(1000);
  expect(state).toMatchObject({ asked: 1, silent: 0 });
});

test("a box that is far away has twice the way more", async () => {
  const { clock, state, silence } = await rig(200);
  silence.sent();
  silence.doubt();
  await clock.run(430);
  expect(state.silent).toBe(0);
  await clock.run(20);
  expect(state.silent).toBe(1);
});

test("a box that moved further away is known for it after a few answers that came late", async () => {
  const { clock, state, silence } = await rig(1);
  let seen = state.question;
  const talk = async (forMs: number) => {
    for (let ms = 0; ms < forMs; ms++) {
      silence.sent();
      await clock.run(1);
      if (state.question === seen) continue;
      const id = state.question;
      seen = id;
      clock.after(400, () => {
        silence.heard();
        silence.answered(id);
      });
    }
  };

  await talk(20_000);
  const before = state.silent;
  await talk(20_000);

  expect(before).toBeLessThan(10);
  expect(state.silent).toBe(before);
});

test("a doubt in the moment in which a box is to be asked anyway leaves it its 40 ms", async () => {
  const { clock, state, silence } = await rig();
  silence.sent();
  clock.after(100, () => silence.doubt());
  await clock.run(130);
  expect(state).toMatchObject({ silent: 0 });
  await clock.run(20);
  expect(state).toMatchObject({ silent: 1 });
});
