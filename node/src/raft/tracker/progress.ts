import { InvariantError } from "../../base/assert.ts";
import type { Inflights } from "./inflights.ts";

/**
 * StateProbe: where the follower's log ends is unknown, one append at a time finds out. StateReplicate: appends are
 * sent ahead of their acknowledgements. StateSnapshot: a snapshot is under way and appends wait for it.
 */
export type ProgressState = "StateProbe" | "StateReplicate" | "StateSnapshot";

export interface ProgressInit {
  readonly match: number;
  readonly next: number;
  readonly inflights: Inflights;
  readonly isLearner: boolean;
  readonly isWitness: boolean;
  readonly recentActive: boolean;
}

/** What the leader knows of one replica. */
export class Progress {
  /** The replica's log is known to equal ours up to here. */
  match: number;
  /** The next entry to send. Invariant: match < next; in StateSnapshot next = pendingSnapshot + 1. */
  next: number;
  /** Highest commit index on its way to the replica; falls back when sending starts over. */
  sentCommit = 0;
  state: ProgressState = "StateProbe";
  /** StateSnapshot alone: index of the snapshot sent. */
  pendingSnapshot = 0;
  /** Something arrived from the replica since the last CheckQuorum. Always true for the leader itself. */
  recentActive: boolean;
  /** Ticks of the leader since anything arrived from the replica. */
  silentTicks = 0;
  /** No append until an acknowledgement or heartbeat response arrives. */
  flowPaused = false;
  readonly inflights: Inflights;
  isLearner: boolean;
  /** A voter without a log: nothing is ever appended to it. */
  isWitness: boolean;

  constructor(init: ProgressInit) {
    this.match = init.match;
    this.next = init.next;
    this.inflights = init.inflights;
    this.isLearner = init.isLearner;
    this.isWitness = init.isWitness;
    this.recentActive = init.recentActive;
  }

  /** Something arrived from the replica. */
  hear(): void {
    this.recentActive = true;
    this.silentTicks = 0;
  }

  /** A copy that shares the inflight window. */
  clone(): Progress {
    const copy = new Progress(this);
    copy.sentCommit = this.sentCommit;
    copy.state = this.state;
    copy.pendingSnapshot = this.pendingSnapshot;
    copy.flowPaused = this.flowPaused;
    copy.silentTicks = this.silentTicks;
    return copy;
  }

  becomeProbe(): void {
    const pendingSnapshot = this.state === "StateSnapshot" ? this.pendingSnapshot : 0;
    this.#reset("StateProbe");
    this.next = Math.max(this.match, pendingSnapshot) + 1;
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
  }

  becomeReplicate(): void {
    this.#reset("StateReplicate");
    this.next = this.match + 1;
  }

  becomeSnapshot(snapshotIndex: number): void {
    this.#reset("StateSnapshot");
    this.pendingSnapshot = snapshotIndex;
    this.next = snapshotIndex + 1;
    this.sentCommit = snapshotIndex;
  }

  /** Accounts for an append message with `count` entries of `bytes` payload, sent from `next` on. */
  sentEntries(count: number, bytes: number): void {
    switch (this.state) {
      case "StateReplicate":
        if (count > 0) {
          this.next += count;
          this.inflights.add(this.next - 1, bytes);
        }
        this.flowPaused = this.inflights.isFull();
        return;
      case "StateProbe":
        if (count > 0) this.flowPaused = true;
        return;
      case "StateSnapshot":
        throw new InvariantError("an append was sent while a snapshot is pending");
    }
  }

  /** True when sending commit index `index` could raise the replica's. */
  canBumpCommit(index: number): boolean {
    return index > this.sentCommit && this.sentCommit < this.next - 1;
  }

  /** Takes an acknowledgement of `index`; false when it is old news. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.flowPaused = false;
    return true;
  }

  /** Takes a rejection of the append at `rejected`, with the replica's hint; false when it is old news. */
  maybeDecrease(rejected: number, matchHint: number): boolean {
    if (this.state === "StateReplicate") {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
      this.sentCommit = Math.min(this.sentCommit, this.next - 1);
      return true;
    }
    if (this.next - 1 !== rejected) return false;
    this.next = Math.max(Math.min(rejected, matchHint + 1), this.match + 1);
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
    this.flowPaused = false;
    return true;
  }

  isPaused(): boolean {
    return this.state === "StateSnapshot" || this.flowPaused;
  }

  toString(): string {
    let text = `${this.state} match=${this.match} next=${this.next}`;
    if (this.isLearner) text += " learner";
    if (this.isWitness) text += " witness";
    if (this.isPaused()) text += " paused";
    if (this.pendingSnapshot > 0) text += ` pendingSnap=${this.pendingSnapshot}`;
    if (!this.recentActive) text += " inactive";
    if (this.inflights.count > 0) {
      text += ` inflight=${this.inflights.count}${this.inflights.isFull() ? "[full]" : ""}`;
    }
    return text;
  }

  #reset(state: ProgressState): void {
    this.flowPaused = false;
    this.pendingSnapshot = 0;
    this.state = state;
    this.inflights.reset();
  }
}
