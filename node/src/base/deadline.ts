import type { Clock } from "./clock.ts";

/** A moment in monotonic time after which an answer is of no use. */
export class Deadline {
  /** Monotonic milliseconds. */
  readonly atMs: number;
  readonly #clock: Clock;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.atMs = clock.now() + timeoutMs;
  }
  /** Milliseconds left, never negative. */
  get leftMs(): number {
    return Math.max(0, this.atMs - this.#clock.now());
  }
  get passed(): boolean {
    return this.#clock.now() >= this.atMs;
  }
}
