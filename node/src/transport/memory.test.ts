import { describe, expect, test } from "vitest";
import { must } from "../base/assert.ts";
import type { Clock, Random } from "../base/clock.ts";
import { describeCompliance, LinkLog, ServeLog } from "./compliance.fixture.ts";
import { selfOf } from "./federation.fixture.ts";
import { MemoryNetwork } from "./memory.ts";
import { MemoryHub } from "./memory-hub.ts";

/** Virtual time: `step` runs the next due callback. */
class StepClock implements Clock {
  #now = 0;
  #order = 0;
  #due: { atMs: number; order: number; fn: () => void }[] = [];
  now(): number {
    return this.#now;
  }
  wallMs(): number {
    return this.#now;
  }
  after(delayMs: number, fn: () => void) {
    const entry = { atMs: this.#now + Math.max(0, delayMs), order: this.#order++, fn };
    this.#due.push(entry);
    this.#due.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
    const cancel = () => {
      this.#due = this.#due.filter((other) => other !== entry);
    };
    return { cancel };
  }
  soon(fn: () => void): void {
    this.defer(fn);
  }

  defer(fn: () => void): void {
    this.after(0, fn);
  }
  step(): void {
    const next = must(this.#due.shift(), "something to wait for");
    this.#now = next.atMs;
    next.fn();
  }
}

function seeded(seed: number): Random {
  let state = seed >>> 0;
  const unit = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return { unit, bytes: (count) => Uint8Array.from({ length: count }, () => unit() * 256) };
}

function makeHub(seed: number) {
  const clock = new StepClock();
  const hub = new MemoryHub(clock, seeded(seed));
  const settle = async (condition: () => boolean) => {
    for (let steps = 0; !condition(); steps++) {
      if (steps > 100_000) throw new Error("never settled");
      clock.step();
    }
  };
  return { clock, hub, settle };
}

describe("the in-memory network", () => {
  describeCompliance(async () => {
    const { hub, settle } = makeHub(1);
    let ports = 0;
    return {
      async start(self, serve) {
        const endpoint = `memory:${++ports}`;
        const network = new MemoryNetwork(hub, self, endpoint);
        for (const [service, handler] of Object.entries(serve)) network.onServe(service as never, handler);
        return { network, endpoint, stop: () => network.stop() };
      },
      settle,
      stop: async () => {},
    };
  });

  async function connected(seed: number) {
    const { clock, hub, settle } = makeHub(seed);
    const serve = new ServeLog();
    const log = new LinkLog();
    new MemoryNetwork(hub, selfOf("b"), "b:1").onServe("raft", serve);
    const a = new MemoryNetwork(hub, selfOf("a"), "a:1");
    a.onLink("raft", log);
    a.setPeer({ box: "b", endpoint: "b:1", incarnation: selfOf("b").incarnation, services: ["raft"] });
    await settle(() => a.isUp("raft", "b"));
    return { clock, hub, settle, a, serve, log };
  }

  test("a cut swallows messages, is found dead after the silence, and heals", async () => {
    const { hub, settle, a, serve, log } = await connected(3);

    hub.cut("a", "b");
    a.send("raft", "b", Buffer.from("lost"));
    await settle(() => log.events.includes("down b"));
    hub.healAll();
    await settle(() => a.isUp("raft", "b"));
    a.send("raft", "b", Buffer.from("back"));

    await settle(() => serve.frames.includes("back"));
    expect(serve.frames).not.toContain("lost");
  });

  test("the same seed gives the same losses, copies and order", async () => {
    const run = async (seed: number) => {
      const { hub, clock, a, serve } = await connected(seed);
      hub.faults = { ...hub.faults, lossRate: 0.2, duplicateRate: 0.2, reorder: true };
      for (let i = 0; i < 50; i++) a.send("raft", "b", Buffer.from(`${i}`));
      for (const end = clock.now() + 5; clock.now() < end; ) {
        clock.after(1, () => {});
        clock.step();
      }
      return serve.frames.join(" ");
    };

    expect(await run(7)).toBe(await run(7));
    expect(await run(7)).not.toBe(await run(8));
  });
});
