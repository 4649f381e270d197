import { describe, expect, test } from "vitest";
import { NexusError } from "../base/errors.ts";
import { VirtualClock } from "../group/testing/virtual-clock.ts";
import { Lock } from "./lock.ts";
import type { Granted } from "./types.ts";

type Answer = "yes" | "never" | NexusError;

const granted = { fence: "1099511627777", grant: { lockId: Buffer.alloc(16, 1) } } as unknown as Granted;
const ttlMs = 3_000;

function held(answers: Answer[]) {
  const clock = new VirtualClock();
  const extended: number[] = [];
  let released = 0;
  const holder = {
    extend: () => {
      extended.push(clock.now());
      const answer = (answers.length > 1 ? answers.shift() : answers[0])!;
      if (answer === "never") return new Promise<Granted>(() => {});
      return answer === "yes" ? Promise.resolve(granted) : Promise.reject(answer);
    },
    release: async () => {
      released++;
      return {} as never;
    },
  };
  const lock = new Lock(holder, { path: "/l", granted, ttlMs, clock });
  const lostAtMs: number[] = [];
  lock.signal.addEventListener("abort", () => lostAtMs.push(clock.now()));
  return { lock, clock, extended, lostAtMs, released: () => released };
}

describe("a held lock", () => {
  test("is extended every third of its TTL until it is released, once", async () => {
    const { lock, clock, extended, lostAtMs, released } = held(["yes"]);
    await clock.run(10_000);
    await lock.release();
    await lock.release();
    await clock.run(10_000);

    expect(extended).toEqual([1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000, 10_000]);
    expect(lostAtMs).toEqual([]);
    expect(released()).toBe(1);
  });

  test("survives extensions that fail for reasons that pass", async () => {
    const passing = new NexusError("NO_LEADER", "no leader");
    const { clock, lostAtMs } = held([passing, passing, passing, "yes"]);
    await clock.run(20_000);

    expect(lostAtMs).toEqual([]);
  });

  test("is lost at once when the zone says that another holds it", async () => {
    const { lock, clock, lostAtMs, released } = held([new NexusError("FENCED", "another holds it")]);
    await clock.run(5_000);
    await lock.release();

    expect(lostAtMs).toEqual([1_000]);
    expect(lock.signal.reason).toMatchObject({ code: "FENCED" });
    expect(released()).toBe(0);
  });

  test("is lost exactly when its TTL is over without a confirmed extension", async () => {
    for (const answer of ["never", new NexusError("UNKNOWN_OUTCOME", "lost")] as const) {
      const { clock, lostAtMs } = held([answer]);
      await clock.run(10_000);
      expect(lostAtMs).toEqual([ttlMs]);
    }
  });

  test("counts the TTL from when the extension was sent", async () => {
    const { clock, lostAtMs } = held(["yes", "never"]);
    await clock.run(10_000);

    expect(lostAtMs).toEqual([1_000 + ttlMs]);
  });
});
