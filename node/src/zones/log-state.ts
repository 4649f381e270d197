import type { Clock } from "../base/clock.ts";
import type { Groups, GroupView } from "../group/api.ts";
import { holdersOf } from "./receipts.ts";

/** A view older than this is asked for anew, ms. Copies only grow, so an older view never overstates them. */
const viewAgeMaxMs = 10;

/** What the engine remembers of a local log between the host's announcements, so that a request costs no view. */
export class LogState {
  readonly log: number;
  /** Index of the last applied entry. */
  applied: number;
  #view: GroupView;
  #viewedAt: number;
  readonly #groups: Groups;
  readonly #clock: Clock;

  constructor(groups: Groups, clock: Clock, view: GroupView) {
    this.log = view.log;
    this.applied = view.applied;
    this.#groups = groups;
    this.#clock = clock;
    this.#view = view;
    this.#viewedAt = clock.now();
  }

  /** At most viewAgeMaxMs old; leadership and generation are always current. */
  get view(): GroupView {
    if (this.#clock.now() - this.#viewedAt > viewAgeMaxMs) this.refresh();
    return this.#view;
  }
  /** By this replica's own configuration. */
  get isMember(): boolean {
    return this.view.progress.some((member) => member.state === "self");
  }
  get isLeader(): boolean {
    return this.#view.isLeader;
  }
  get leaderBox(): string {
    return this.#view.leaderBox;
  }
  get generation(): number {
    return this.#view.generation;
  }

  take(view: GroupView): void {
    this.#view = view;
    this.#viewedAt = this.#clock.now();
    if (view.applied > this.applied) this.applied = view.applied;
  }
  refresh(): void {
    const view = this.#groups.view(this.log);
    if (view !== undefined) this.take(view);
  }

  /** Boxes that hold `index`, by a remembered view if it is enough for all, else by a fresh one. */
  holders(index: number): string[] {
    const known = holdersOf(this.#view, index);
    let full = 0;
    for (const member of this.#view.progress) if (member.role !== "witness") full++;
    if (known.length === full) return known;
    this.refresh();
    return holdersOf(this.#view, index);
  }
}

/** The names of the boxes are empty for nobody. */
export type LeaderListener = (log: number, box: string, before: string) => void;

/** One LogState a local log, kept current by the host's listeners. */
export class LogStates {
  readonly #states = new Map<number, LogState>();
  readonly #onLeader: LeaderListener[] = [];
  readonly #groups: Groups;
  readonly #clock: Clock;

  constructor(groups: Groups, clock: Clock) {
    this.#groups = groups;
    this.#clock = clock;
    groups.onLeadership((log, view) => {
      const before = this.#states.get(log)?.leaderBox ?? "";
      this.#known(log)?.take(view);
      if (view.leaderBox === before) return;
      for (const listener of this.#onLeader) listener(log, view.leaderBox, before);
    });
    groups.onApplied((log, batch) => {
      const state = this.#states.get(log);
      if (state !== undefined && batch.index > state.applied) state.applied = batch.index;
    });
  }

  /** Called when the leader of a local log is another one than before, or not known any more. */
  onLeader(listener: LeaderListener): void {
    this.#onLeader.push(listener);
  }

  /**
   * Undefined when this box holds no replica of the log, or only one that is no member: a new one that knows nothing yet,
   * or one that was removed while it was away and may never hear who leads now. The members are asked instead.
   */
  get(log: number): LogState | undefined {
    const state = this.#known(log);
    return state?.isMember ? state : undefined;
  }

  #known(log: number): LogState | undefined {
    if (!this.#groups.has(log)) {
      this.#states.delete(log);
      return undefined;
    }
    const known = this.#states.get(log);
    if (known !== undefined) return known;
    const view = this.#groups.view(log);
    if (view === undefined) return undefined;
    const state = new LogState(this.#groups, this.#clock, view);
    this.#states.set(log, state);
    return state;
  }
}
