import type { Clock } from "../base/clock.ts";
import type { LogStates } from "../zones/log-state.ts";
import type { Forward } from "./ports.ts";

/**
 * What a replica here hears of an election, told to the requests that depend on it: those that pause because nobody leads
 * go on at once, and those that were given to the former leader are not left there if it hangs.
 */
export class LeaderNews {
  readonly #clock: Clock;
  readonly #waiting = new Map<number, Set<() => void>>();

  constructor({ logs, forward, clock }: { logs: LogStates; forward: Forward; clock: Clock }) {
    this.#clock = clock;
    logs.onLeader((log, leader, before) => {
      if (before !== "") forward.doubt(before);
      if (leader !== "") clock.soon(() => this.#wake(log));
    });
  }

  /** Calls `then` once: after the pause, or earlier when a box is known to lead the log. */
  pause(log: number, pauseMs: number, then: () => void): void {
    const waiting = this.#waiting.get(log) ?? new Set();
    this.#waiting.set(log, waiting);
    const go = () => {
      timer.cancel();
      waiting.delete(go);
      if (waiting.size === 0) this.#waiting.delete(log);
      then();
    };
    const timer = this.#clock.after(pauseMs, go);
    waiting.add(go);
  }

  #wake(log: number): void {
    for (const go of [...(this.#waiting.get(log) ?? [])]) go();
  }
}
