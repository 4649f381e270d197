import { hexOf } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { refuse } from "../base/errors.ts";
import type { Groups } from "../group/api.ts";
import type { WaitEnd, ZoneStates } from "./ports.ts";

/** Requests that wait for a lock on this box, at most. */
export const waitsMax = 10_000;
/** Ends remembered for requests that are about to register, at most. */
const endsMax = 1_024;

export type WaitOutcome = WaitEnd["outcome"];

interface Wait {
  log: number;
  end: (outcome: WaitOutcome | "timeout") => void;
  timer: Timer;
}

/**
 * Requests whose lock is queued in the log. An end may be announced in the same turn as the queueing, before the
 * request could register: such ends are remembered for a moment.
 */
export class LockWaits {
  readonly #waits = new Map<string, Wait>();
  readonly #ends = new Map<string, WaitOutcome>();
  readonly #clock: Clock;

  constructor(needs: { groups: Groups; states: ZoneStates; clock: Clock }) {
    this.#clock = needs.clock;
    needs.states.onWaitEnded((log, end) => this.#ended(log, end));
    needs.groups.onLeadership((log, view) => {
      if (!view.isLeader) this.#leaderLost(log, view.leaderBox);
    });
  }
  get size(): number {
    return this.#waits.size;
  }

  /** Calls `end` once: with the log's outcome, a lost leadership, or `timeout`. A second wait of one id ends the first. */
  add(log: number, waiterId: Uint8Array, timeoutMs: number, end: Wait["end"]): void {
    const key = keyOf(log, waiterId);
    const early = this.#ends.get(key);
    if (early !== undefined) {
      this.#ends.delete(key);
      return end(early);
    }
    this.#settle(key, {
      kind: "ended",
      refusal: refuse("UNKNOWN_OUTCOME", "the same request waits again; that one gets the answer"),
    });
    const timer = this.#clock.after(timeoutMs, () => this.#settle(key, "timeout"));
    this.#waits.set(key, { log, end, timer });
  }

  /** The end announced for a wait that has timed out, while its cancellation was on its way. */
  takeEnd(log: number, waiterId: Uint8Array): WaitOutcome | undefined {
    const key = keyOf(log, waiterId);
    const end = this.#ends.get(key);
    this.#ends.delete(key);
    return end;
  }

  #ended(log: number, ended: WaitEnd): void {
    const key = keyOf(log, ended.waiterId);
    if (this.#settle(key, ended.outcome)) return;
    this.#ends.set(key, ended.outcome);
    if (this.#ends.size > endsMax) {
      for (const oldest of this.#ends.keys()) {
        this.#ends.delete(oldest);
        break;
      }
    }
  }

  #leaderLost(log: number, leaderBox: string): void {
    for (const [key, wait] of this.#waits) {
      if (wait.log !== log) continue;
      const refusal = refuse("NO_LEADER", "the leader changed while the lock was waited for; its place is kept", {
        leaderBox,
      });
      this.#settle(key, { kind: "ended", refusal });
    }
  }

  #settle(key: string, outcome: WaitOutcome | "timeout"): boolean {
    const wait = this.#waits.get(key);
    if (wait === undefined) return false;
    this.#waits.delete(key);
    wait.timer.cancel();
    wait.end(outcome);
    return true;
  }
}

function keyOf(log: number, waiterId: Uint8Array): string {
  return `${log}/${hexOf(waiterId)}`;
}
