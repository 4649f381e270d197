import fc from "fast-check";
import { expect, test } from "vitest";
import { Machine } from "./machine.ts";
import { MemoryStateStore } from "./memory-store.ts";
import { snapshot } from "./snapshot.ts";
import type { StateWrite } from "./store.ts";
import { codeOf, idOf, Rig, writeOp } from "./testing/rig.ts";

const limits = { feedEventsMax: 6, blockEntries: 4, requestsMax: 1000, requestWindowMs: 1000, requestAheadMsMax: 100 };
const step = fc.record({
  op: fc.constantFrom("put", "put", "put", "retry", "batch", "remove", "lock", "compact", "wait"),
  n: fc.nat({ max: 5 }),
});
type Step = { op: string; n: number };

/** Plays a step on both rigs and compares the answers. */
function play(rigs: Rig[], { op, n }: Step, turn: number): void {
  const answers = rigs.map((rig) => {
    if (op === "wait") {
      rig.timeMs += n * 300;
      return "waited";
    }
    if (op === "retry") return rig.put(`/f${n}`, "x", {}, { requestId: idOf(Math.max(1, turn - n)) });
    const requestId = n === 5 ? new Uint8Array(0) : idOf(turn);
    if (op === "put") return rig.put(`/d${n}/f`, "y".repeat(n * 400), {}, { requestId });
    if (op === "remove")
      return rig.run(
        { $case: "delete", value: { path: `/d${n}`, recursive: true, condition: undefined } },
        { requestId },
      );
    if (op === "compact")
      return rig.run(
        { $case: "compactFeed", value: { belowIndex: Math.max(0, rig.machine.appliedIndex - n) } },
        { requestId },
      );
    if (op === "lock") return rig.run({ $case: "release", value: { path: "/l", lockId: idOf(n) } }, { requestId });
    const operations = [1, 2, 3].map((i) => ({ op: writeOp(`/b/${n}-${i}`) }));
    return rig.run({ $case: "batch", value: { operations } }, { requestId });
  });
  for (const answer of answers) expect(answer).toEqual(answers[0]);
}

const feedOf = (rig: Rig) => rig.machine.eventsAfter(rig.machine.feedFloor, 10_000);
const reopen = (rig: Rig) => {
  rig.machine = new Machine(rig.store, rig.options);
};

/** The process ended between every batch and its cuts. */
class UncutStore extends MemoryStateStore {
  override write(batch: readonly StateWrite[]): void {
    super.write(batch.filter(({ to }) => to === undefined));
  }
}

test("restarts and cuts that a crash prevented change no answer, no feed and no byte of a snapshot", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.nat({ max: 7 }), (steps, each) => {
      const rigs = [new Rig({ limits }), new Rig({ limits }), new Rig({ limits })];
      const uncut = rigs[2]!;
      const rows = [...uncut.store.scan({ from: "" })];
      uncut.store = new UncutStore();
      uncut.store.write(rows);
      reopen(uncut);

      for (const [turn, one] of steps.entries()) {
        if (turn % (each + 1) === each) for (const rig of rigs.slice(1)) reopen(rig);
        play(rigs, one, turn + 10);
      }

      const bytes = Buffer.concat([...snapshot(rigs[0]!.store)]);
      for (const rig of rigs) {
        expect(feedOf(rig)).toEqual(feedOf(rigs[0]!));
        expect(rig.bytes().equals(bytes)).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});

test("what is stored stays bounded by the feed and the window, however long it goes on", () => {
  const rig = new Rig({ limits });
  const sizes: number[] = [];
  for (let turn = 1; turn <= 400; turn++) {
    rig.timeMs += 20;
    rig.put("/d/f", "x", {}, { requestId: idOf(turn) });
    if (turn % 100 === 0) sizes.push(rig.store.size);
  }

  expect(sizes[0]).toBeLessThan(100);
  expect(new Set(sizes.slice(1)).size).toBeLessThanOrEqual(2);
  expect(codeOf(rig.put("/d/f", "x", {}, { requestId: idOf(390) }))).toBe("operation");
});
