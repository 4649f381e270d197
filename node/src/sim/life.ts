import type { Clock, Timer } from "../base/clock.ts";
import { require } from "./violation.ts";

/** Timers of one process that may fire while no time passes; more is a loop. */
const firedAtOnceMax = 20_000;

/** One life of a simulated process: what it has to do runs while it lives, waits while it is paused (SIGSTOP). */
export class Life {
  alive = true;
  paused = false;
  readonly #clock: Clock;
  #waiting: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  run(fn: () => void): void {
    if (!this.alive) return;
    if (this.paused) this.#waiting.push(fn);
    else fn();
  }

  /** Resolves when the process may go on; never after its end. */
  turn(): Promise<void> {
    return new Promise((resolve) => this.run(resolve));
  }

  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const fn of waiting) this.#clock.after(0, () => this.run(fn));
  }
  end(): void {
    this.alive = false;
    this.#waiting = [];
  }
}

/** The wall clock of one machine, over its lives. */
export interface Wall {
  /** Added to the world's wall time, ms; faults change it. */
  offsetMs: number;
}

/** The clock as one process sees it: monotonic time is the world's, timers end with the process, wall time may jump. */
export class ProcessClock implements Clock {
  readonly #world: Clock;
  readonly #life: Life;
  readonly #wall: Wall;
  #lastMs = 0;
  #firedNow = 0;

  constructor(world: Clock, life: Life, wall: Wall) {
    this.#world = world;
    this.#life = life;
    this.#wall = wall;
  }

  now(): number {
    return this.#world.now();
  }
  wallMs(): number {
    return this.#world.wallMs() + this.#wall.offsetMs;
  }
  after(delayMs: number, fn: () => void): Timer {
    let due: (() => void) | undefined = fn;
    const timer = this.#world.after(delayMs, () => this.#life.run(() => this.#fire(due)));
    return {
      cancel: () => {
        due = undefined;
        timer.cancel();
      },
    };
  }
  soon(fn: () => void): void {
    this.defer(fn);
  }

  defer(fn: () => void): void {
    this.after(0, fn);
  }

  #fire(due: (() => void) | undefined): void {
    if (due === undefined) return;
    const now = this.#world.now();
    this.#firedNow = now === this.#lastMs ? this.#firedNow + 1 : 0;
    this.#lastMs = now;
    require(this.#firedNow < firedAtOnceMax, () =>
      `a process is busy without end at ${now} ms:\n${new Error(String(due)).message}`);
    due();
  }
}
