// A witness gives no status, and one that hangs still runs and still has its port. Who it is for finds out late: nobody
// asks a witness anything while all goes well. So it is greeted now and then; a handshake takes a process that turns.
import type { Clock } from "@nexus-federation/node/base/clock.ts";

/** Pause between two greetings of a witness, ms. */
const pauseMs = 1_500;
/** Greetings in a row without an answer before it counts as silent: one may come while the machine is busy. */
const missesMax = 2;

export interface Greeted {
  box: string;
  endpoint: string;
}

export class WitnessPulse {
  readonly #clock: Clock;
  /** Answers why it does not answer, empty when it does; takes at most a second or two. */
  readonly #greet: (witness: Greeted) => Promise<string>;
  readonly #witnesses = new Map<string, { dueMs: number; misses: number; underWay: boolean; why: string }>();

  constructor(clock: Clock, greet: (witness: Greeted) => Promise<string>) {
    this.#clock = clock;
    this.#greet = greet;
  }

  /** Why running witnesses do not answer, by name. */
  get silent(): ReadonlyMap<string, string> {
    const silent = [...this.#witnesses].filter(([, { misses }]) => misses >= missesMax);
    return new Map(silent.map(([box, { why }]) => [box, why]));
  }

  /** Greets those that are due; never waits. Who is not among `running` is forgotten. */
  look(running: readonly Greeted[]): void {
    const names = new Set(running.map(({ box }) => box));
    for (const box of this.#witnesses.keys()) if (!names.has(box)) this.#witnesses.delete(box);
    for (const witness of running) {
      const known = this.#witnesses.get(witness.box) ?? { dueMs: 0, misses: 0, underWay: false, why: "" };
      this.#witnesses.set(witness.box, known);
      if (known.underWay || this.#clock.now() < known.dueMs) continue;
      known.underWay = true;
      void this.#greet(witness).then((why) => {
        known.why = why;
        known.misses = why === "" ? 0 : known.misses + 1;
        known.underWay = false;
        known.dueMs = this.#clock.now() + pauseMs;
      });
    }
  }
}
