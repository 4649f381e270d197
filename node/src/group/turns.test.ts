import { expect, test } from "vitest";
import { must } from "../base/assert.ts";
import { NexusError } from "../base/errors.ts";
import type { LogWrite } from "../log/records.ts";
import type { States } from "./ports.ts";
import { VirtualClock } from "./testing/virtual-clock.ts";
import type { TurnHooks } from "./turn-ports.ts";
import { Turns } from "./turns.ts";

/** A log whose room the test sets: what does not fit is DISK_FULL, what is smaller goes through. */
class NarrowLog {
  roomBytes = 0;
  /** While set, nothing is answered. */
  gate: Promise<void> | undefined;
  readonly given: number[] = [];
  readonly taken: number[] = [];

  async append(writes: readonly LogWrite[]): Promise<void> {
    const { group, snapshotMeta } = must(writes[0], "a write");
    this.given.push(group);
    await this.gate;
    if (must(snapshotMeta, "its content").conf.length > this.roomBytes) {
      throw new NexusError("DISK_FULL", "there is no room for the next segment");
    }
    this.taken.push(group);
  }
}

const nothing = () => {};
const hooks: TurnHooks = {
  deliver: nothing,
  tick: nothing,
  route: nothing,
  sendAll: nothing,
  leadership: nothing,
  applied: nothing,
  effect: nothing,
  membership: nothing,
  fatal: (error) => {
    throw error;
  },
};
const states: States = {
  open: () => {
    throw new Error("no replicas here");
  },
  drop: nothing,
  commit: nothing,
};

test("appends that found no room are given again one behind the other, and none overtakes one before it", async () => {
  const clock = new VirtualClock();
  const log = new NarrowLog();
  const turns = new Turns({ clock, log, states }, { tickMs: 10, appendsMax: 8 }, hooks);
  turns.start();
  const done: number[] = [];
  let open = nothing;
  log.gate = new Promise((resolve) => (open = resolve));
  for (const [group, bytes] of [
    [1, 500],
    [2, 100],
    [3, 10],
  ] as const) {
    const snapshotMeta = { index: 1, term: 1, epoch: 0, conf: new Uint8Array(bytes) };
    turns.write([{ group, generation: 1, snapshotMeta }], () => done.push(group));
    await clock.run(1);
  }
  expect(log.given).toEqual([1, 2, 3]);
  open();
  await clock.run(1_000);
  expect(turns.isFull).toBe(true);
  log.roomBytes = 100;
  await clock.run(1_000);
  expect([log.taken, done]).toEqual([[], []]);

  log.roomBytes = 1_000;
  await clock.run(1_000);

  expect(log.taken).toEqual([1, 2, 3]);
  expect(done).toEqual([1, 2, 3]);
  expect(turns.isFull).toBe(false);
});
