import { monitorEventLoopDelay } from "node:perf_hooks";
import { type Clock, every, type Timer } from "../base/clock.ts";

/** The part of node's histogram that is used; values in nanoseconds. */
export type DelayHistogram = Pick<
  ReturnType<typeof monitorEventLoopDelay>,
  "enable" | "disable" | "reset" | "percentile" | "max" | "count"
>;

export interface LoopDelayReading {
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** The sampling timer's own period, which every sample contains. */
const resolutionMs = 10;
/** Length of a window. */
const windowMs = 1_000;
/** Windows whose longest delays count as recent. */
const recentWindows = 5;

/**
 * Measures how late the event loop runs, so that time-outs can allow for it: a member that was itself blocked must not
 * take its peers for dead.
 */
export class LoopDelay {
  readonly #clock: Clock;
  readonly #histogram: DelayHistogram;
  #timer: Timer | undefined;
  #last: LoopDelayReading = { p50Ms: 0, p99Ms: 0, maxMs: 0 };
  /** The two longest delays of each of the last windows, newest last. */
  #recent: number[][] = [];

  constructor(clock: Clock, histogram: DelayHistogram = monitorEventLoopDelay({ resolution: resolutionMs })) {
    this.#clock = clock;
    this.#histogram = histogram;
  }

  start(): void {
    if (this.#timer !== undefined) return;
    this.#histogram.enable();
    this.#timer = every(this.#clock, windowMs, () => this.#endWindow());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#histogram.disable();
  }

  /** Of the last whole window. */
  get reading(): LoopDelayReading {
    return this.#last;
  }

  /**
   * The second longest delay of the last seconds, the running window included; what time-outs add. A single long one tells
   * of a process that was stopped and goes on, not of a machine that is busy.
   */
  get recentLateMs(): number {
    const delays = [...this.#recent.flat(), ...this.#longestTwo()];
    return delays.sort((a, b) => b - a)[1] ?? 0;
  }

  #longestTwo(): number[] {
    const { max, count } = this.#histogram;
    if (count === 0) return [];
    if (count === 1) return [toMs(max)];
    // Between the ranks of the second longest and the one before it, safe from rounding.
    return [toMs(max), toMs(this.#histogram.percentile((100 * (count - 1.5)) / count))];
  }

  #endWindow(): void {
    const { max } = this.#histogram;
    const at = (percent: number) => toMs(this.#histogram.percentile(percent));
    this.#last = { p50Ms: at(50), p99Ms: at(99), maxMs: toMs(max) };
    this.#recent = [...this.#recent, this.#longestTwo()].slice(-recentWindows);
    this.#histogram.reset();
  }
}

/** Delay beyond the sampling period; an empty histogram has none. */
function toMs(nanoseconds: number): number {
  return Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e6 - resolutionMs) : 0;
}
