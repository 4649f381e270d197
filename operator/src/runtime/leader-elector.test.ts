import type { Clock } from "@nexus-federation/node/base/clock.ts";
import { VirtualClock } from "@nexus-federation/node/group/testing/virtual-clock.ts";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Leadership } from "./api.ts";
import { KubeError } from "./kube-error.ts";
import { type ElectorNeeds, LeaderElector } from "./leader-elector.ts";
import type { KubeObject } from "./objects.ts";
import { needs, pass } from "./testing/needs.ts";

/** The lease as a server keeps it: one object with a revision, and slow or lost answers on the way. */
class LeaseServer {
  lease: KubeObject | undefined;
  #version = 0;

  get(): KubeObject | undefined {
    return structuredClone(this.lease);
  }
  create(object: KubeObject): KubeObject {
    if (this.lease) throw new KubeError("ALREADY_EXISTS", "taken");
    return this.#store(object);
  }
  replace(object: KubeObject): KubeObject {
    if (!this.lease) throw new KubeError("NOT_FOUND", "gone");
    if (object.metadata.resourceVersion !== this.lease.metadata.resourceVersion)
      throw new KubeError("CONFLICT", "changed");
    return this.#store(object);
  }
  #store(object: KubeObject): KubeObject {
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) };
    this.lease = { ...structuredClone(object), metadata };
    return structuredClone(this.lease);
  }
}

/** The way of one candidate to the server. */
interface Way {
  /** From the call to the server, and from there back. */
  thereMs: number;
  backMs: number;
  cut: boolean;
}

interface Candidate {
  elector: LeaderElector;
  way: Way;
  terms: Leadership[];
  /** Its own clock: time passes, but while it is paused no timer of it fires. */
  pause(): void;
  resume(): void;
}

function world(names: string[]) {
  const clock = new VirtualClock();
  const server = new LeaseServer();
  const faults: string[] = [];
  const candidates = new Map<string, Candidate>();
  const working = () =>
    [...candidates].filter(([, { terms }]) => terms.some((term) => term.held())).map(([name]) => name);

  for (const name of names) {
    const own = pausable(clock);
    const way: Way = { thereMs: 1, backMs: 1, cut: false };
    const call = <R>(work: () => R, deadlineMs = 5_000) =>
      new Promise<R>((resolve, reject) => {
        const timer = own.clock.after(deadlineMs, () => reject(new KubeError("DEADLINE", "no answer")));
        if (way.cut) return;
        const { thereMs, backMs } = way;
        clock.after(thereMs, () => {
          let settle: () => void;
          try {
            const result = work();
            settle = () => resolve(result);
          } catch (error) {
            settle = () => reject(error);
          }
          if (way.cut) return;
          own.clock.after(backMs, () => {
            timer.cancel();
            settle();
          });
        });
      });
    const client = {
      get: (_t: unknown, _n: unknown, options: { deadlineMs: number }) => call(() => server.get(), options.deadlineMs),
      create: (_t: unknown, object: KubeObject) => call(() => server.create(object)),
      replace: (_t: unknown, object: KubeObject) => call(() => server.replace(object)),
    };
    const terms: Leadership[] = [];
    const work = {
      lead(leadership: Leadership) {
        const others = working();
        if (others.length > 0) faults.push(`${name} leads beside ${others.join()} at ${clock.now()}`);
        terms.push(leadership);
      },
      ended: () => Promise.resolve(),
    };
    const elector = new LeaderElector(
      { lease: { namespace: "ns", name: "nexus" }, identity: name, work },
      { ...needs(own.clock), client: client as unknown as ElectorNeeds["client"] },
    );
    candidates.set(name, { elector, way, terms, pause: own.pause, resume: own.resume });
  }
  const of = (name: string) => candidates.get(name)!;
  const leader = () => [...candidates].find(([, { elector }]) => elector.isLeader)?.[0];
  return { clock, server, faults, of, leader, all: candidates };
}

/** A process that can be stopped: its clock reads on, and what fell due meanwhile fires when it goes on. */
function pausable(base: VirtualClock): { clock: Clock; pause(): void; resume(): void } {
  let paused = false;
  const due: (() => void)[] = [];
  const clock: Clock = {
    now: () => base.now(),
    wallMs: () => base.wallMs(),
    defer: (fn) => base.defer(fn),
    soon: (fn) => base.soon(fn),
    after(delayMs, fn) {
      let isOn = true;
      const fire = () => {
        if (paused) due.push(fire);
        else if (isOn) fn();
      };
      base.after(delayMs, fire);
      return {
        cancel: () => {
          isOn = false;
        },
      };
    },
  };
  return {
    clock,
    pause: () => {
      paused = true;
    },
    resume: () => {
      paused = false;
      for (const fire of due.splice(0)) fire();
    },
  };
}

test("renews every 2 s, stops 10 s after the last renewal was sent, and another starts 15 s after it saw it", async () => {
  const { clock, of, leader } = world(["a", "b"]);
  of("a").elector.start();
  await pass(clock, 100);
  of("b").elector.start();
  await pass(clock, 60_000);
  expect([leader(), of("a").terms.length]).toEqual(["a", 1]);

  of("a").way.cut = true;
  await pass(clock, 7_000);
  expect(of("a").elector.isLeader).toBe(true);
  await pass(clock, 3_000);
  expect([of("a").terms[0]!.signal.aborted, leader()]).toEqual([true, undefined]);
  await pass(clock, 2_000);
  expect(leader()).toBeUndefined();
  await pass(clock, 8_000);
  expect(leader()).toBe("b");
});

test("a process that was stopped knows at once, before any timer, that the lease is not its own any more", async () => {
  const { clock, of, leader, faults } = world(["a", "b"]);
  of("a").elector.start();
  await pass(clock, 100);
  of("b").elector.start();
  await pass(clock, 5_000);
  of("a").pause();
  await pass(clock, 30_000);

  expect(leader()).toBe("b");
  expect(of("a").terms[0]!.held()).toBe(false);
  of("a").resume();
  await pass(clock, 5_000);
  expect([of("a").terms[0]!.signal.aborted, leader(), faults]).toEqual([true, "b", []]);
});

test("a lease that somebody deletes goes to its holder again, or to another when it would have ended", async () => {
  const { clock, of, leader, server, faults } = world(["a", "b"]);
  of("a").elector.start();
  await pass(clock, 100);
  of("b").elector.start();
  await pass(clock, 5_000);
  server.lease = undefined;
  await pass(clock, 5_000);
  expect([leader(), of("a").terms.length]).toEqual(["a", 1]);
  of("a").way.cut = true;
  server.lease = undefined;
  await pass(clock, 10_000);
  expect(leader()).toBeUndefined();
  await pass(clock, 10_000);

  expect([leader(), faults]).toEqual(["b", []]);
});

test("a lease that is given back is taken without waiting for its end", async () => {
  const { clock, of, leader } = world(["a", "b"]);
  of("a").elector.start();
  await pass(clock, 100);
  of("b").elector.start();
  await pass(clock, 5_000);
  const stopping = of("a").elector.stop();
  await pass(clock, 3_000);
  await stopping;

  expect(leader()).toBe("b");
});

test("answers that take 4.9 s still keep the lease", async () => {
  const { clock, of, leader } = world(["a"]);
  of("a").elector.start();
  await pass(clock, 100);
  of("a").way.backMs = 4_900;
  await pass(clock, 60_000);

  expect([leader(), of("a").terms.length]).toEqual(["a", 1]);
});

test("whatever is cut, slow or stopped, two never hold the lease at once, and when all is well somebody does", async () => {
  const names = ["a", "b", "c"];
  const step = fc.record({
    who: fc.constantFrom(...names),
    what: fc.constantFrom("cut", "mend", "slow", "fast", "pause", "resume"),
    forMs: fc.integer({ min: 1, max: 12_000 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const { clock, of, leader, faults, all } = world(names);
      for (const { elector } of all.values()) elector.start();
      await pass(clock, 3_000);
      for (const { who, what, forMs } of steps) {
        const { way, pause, resume } = of(who);
        if (what === "cut") way.cut = true;
        else if (what === "mend") way.cut = false;
        else if (what === "slow") Object.assign(way, { thereMs: 1_500, backMs: 2_500 });
        else if (what === "fast") Object.assign(way, { thereMs: 1, backMs: 1 });
        else if (what === "pause") pause();
        else resume();
        await pass(clock, forMs);
      }
      for (const { way, resume } of all.values()) {
        Object.assign(way, { thereMs: 1, backMs: 1, cut: false });
        resume();
      }
      await pass(clock, 60_000);
      expect(faults).toEqual([]);
      expect(names).toContain(leader());
    }),
    { numRuns: 60 },
  );
});
