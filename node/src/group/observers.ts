import type { Effect } from "../machine/api.ts";
import type { AppliedBatch, GroupView, LockEvent } from "./api.ts";

export type LeadershipListener = (log: number, view: GroupView) => void;
export type AppliedListener = (log: number, applied: AppliedBatch) => void;
export type LockListener = (log: number, events: readonly LockEvent[]) => void;

/** Who is told what happened in a turn. */
export class Observers {
  readonly leadership: LeadershipListener[] = [];
  readonly applied: AppliedListener[] = [];
  readonly locks: LockListener[] = [];
  #lockEvents = new Map<number, LockEvent[]>();

  tellLeadership(log: number, view: GroupView): void {
    for (const listener of this.leadership) listener(log, view);
  }

  tellApplied(log: number, batch: AppliedBatch): void {
    for (const listener of this.applied) listener(log, batch);
  }

  /** Kept until the store has the turn. */
  noteEffect(log: number, effect: Effect): void {
    if (effect.kind !== "lock-granted" && effect.kind !== "wait-ended") return;
    if (effect.kind === "lock-granted" && !effect.waited) return;
    const events = this.#lockEvents.get(log) ?? [];
    events.push(effect);
    this.#lockEvents.set(log, events);
  }

  tellLocks(): void {
    if (this.#lockEvents.size === 0) return;
    const told = this.#lockEvents;
    this.#lockEvents = new Map();
    for (const [log, events] of told) for (const listener of this.locks) listener(log, events);
  }
}
