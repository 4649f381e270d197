import { type Refusal, refuse } from "../base/errors.ts";

interface Waiter<T> {
  wanted: T;
  deadlineMs: number;
  done: (refusal: Refusal | undefined) => void;
}

/** Callers that wait for something to become true, each with a deadline, up to a limit. */
export class Waiters<T> {
  #waiting: Waiter<T>[] = [];
  #earliestMs = Number.POSITIVE_INFINITY;
  readonly #countMax: number;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get count(): number {
    return this.#waiting.length;
  }

  add(wanted: T, deadlineMs: number, done: (refusal: Refusal | undefined) => void): void {
    if (this.#waiting.length >= this.#countMax) {
      done(refuse("OVERLOADED", `More than ${this.#countMax} callers wait at this log.`, { retryAfterMs: 100 }));
      return;
    }
    this.#waiting.push({ wanted, deadlineMs, done });
    if (deadlineMs < this.#earliestMs) this.#earliestMs = deadlineMs;
  }

  /** Answers those for which it is true. */
  settle(reached: (wanted: T) => boolean): void {
    if (this.#waiting.length === 0) return;
    this.#remove(
      (waiter) => reached(waiter.wanted),
      () => undefined,
    );
  }

  /** Refuses those whose deadline has passed. */
  expire(nowMs: number, refusal: (wanted: T) => Refusal): void {
    if (nowMs < this.#earliestMs) return;
    this.#remove((waiter) => waiter.deadlineMs <= nowMs, refusal);
    this.#earliestMs = Number.POSITIVE_INFINITY;
    for (const { deadlineMs } of this.#waiting) if (deadlineMs < this.#earliestMs) this.#earliestMs = deadlineMs;
  }

  abandon(refusal: Refusal): void {
    this.#remove(
      () => true,
      () => refusal,
    );
  }

  #remove(leaves: (waiter: Waiter<T>) => boolean, answer: (wanted: T) => Refusal | undefined): void {
    const leaving: Waiter<T>[] = [];
    const staying: Waiter<T>[] = [];
    for (const waiter of this.#waiting) (leaves(waiter) ? leaving : staying).push(waiter);
    if (leaving.length === 0) return;
    this.#waiting = staying;
    for (const waiter of leaving) waiter.done(answer(waiter.wanted));
  }
}
