import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Clock, Timer } from "../base/clock.ts";

/** The part of node's histogram that is used; values in nanoseconds. */
export type DelayHistogram = Pick<
  ReturnType<typeof monitorEventLoopDelay>,
  "enable" | "disable" | "reset" | "percentile" | "max"
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
/** Windows whose longest delay counts as recent. */
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
  /** Longest delays of the last windows, newest last. */
  #recent: number[] = [];

  constructor(clock: Clock, histogram: DelayHistogram = monitorEventLoopDelay({ resolution: resolutionMs })) {
    this.#clock = clock;
    this.#histogram = histogram;
  }

  start(): void {
    if (this.#timer !== undefined) return;
    this.#histogram.enable();
    this.#arm();
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

  /** The longest delay of the last seconds, the running window included; what time-outs add. */
  get recentMaxMs(): number {
    return Math.max(toMs(this.#histogram.max), ...this.#recent);
  }

  #arm(): void {
    this.#timer = this.#clock.after(windowMs, () => {
      const { max } = this.#histogram;
      const at = (percent: number) => toMs(this.#histogram.percentile(percent));
      this.#last = { p50Ms: at(50), p99Ms: at(99), maxMs: toMs(max) };
      this.#recent = [...this.#recent, this.#last.maxMs].slice(-recentWindows);
      this.#histogram.reset();
      this.#arm();
    });
  }
}

/** Delay beyond the sampling period; an empty histogram has none. */
function toMs(nanoseconds: number): number {
  return Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e6 - resolutionMs) : 0;
}
