import { jointCommitted, jointVote } from "../quorum/joint.ts";
import { sortedIds, type VoteResult } from "../quorum/majority.ts";
import { type Config, EMPTY_CONFIG } from "./config.ts";
import { Inflights } from "./inflights.ts";
import { Progress } from "./progress.ts";

export type ProgressMap = ReadonlyMap<number, Progress>;

export interface InflightLimits {
  readonly countMax: number;
  readonly bytesMax: number;
}

export interface Tally {
  readonly granted: number;
  readonly rejected: number;
  readonly result: VoteResult;
}

/** The active configuration, what is known of each replica in it, and the votes of the running election. */
export class ProgressTracker {
  readonly limits: InflightLimits;
  config: Config = EMPTY_CONFIG;
  /** Invariant: iterates by ascending id, which makes the order of messages deterministic. */
  progress: ProgressMap = new Map();
  #votes = new Map<number, boolean>();
  readonly #acked = (id: number): number | undefined => this.progress.get(id)?.match;

  constructor(limits: InflightLimits) {
    this.limits = limits;
  }

  install(config: Config, progress: ProgressMap): void {
    this.config = config;
    this.progress = inIdOrder(progress);
  }

  /** Forgets all progress: every replica starts at `lastIndex + 1`, unmatched; `self` is matched throughout. */
  resetProgress(lastIndex: number, self: number): void {
    const fresh = new Map<number, Progress>();
    for (const [id, { isLearner, isWitness }] of this.progress) {
      const inflights = new Inflights(this.limits.countMax, this.limits.bytesMax);
      const match = id === self ? lastIndex : 0;
      fresh.set(id, new Progress({ match, next: lastIndex + 1, inflights, isLearner, isWitness, recentActive: false }));
    }
    this.progress = fresh;
  }

  /** The largest index that the voters have acknowledged. */
  committed(): number {
    return jointCommitted(this.config.voters, this.#acked);
  }

  quorumActive(): boolean {
    const active = new Map<number, boolean>();
    for (const [id, progress] of this.progress) if (!progress.isLearner) active.set(id, progress.recentActive);
    return jointVote(this.config.voters, active) === "VoteWon";
  }

  resetVotes(): void {
    this.#votes = new Map();
  }

  /** The first answer of a voter stands. */
  recordVote(id: number, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
  }

  voteOf(id: number): boolean | undefined {
    return this.#votes.get(id);
  }

  tallyVotes(): Tally {
    let granted = 0;
    let rejected = 0;
    for (const [id, progress] of this.progress) {
      const vote = progress.isLearner ? undefined : this.#votes.get(id);
      if (vote === true) granted++;
      else if (vote === false) rejected++;
    }
    return { granted, rejected, result: jointVote(this.config.voters, this.#votes) };
  }
}

function inIdOrder(progress: ProgressMap): ProgressMap {
  return new Map(sortedIds(progress.keys()).map((id) => [id, progress.get(id) as Progress]));
}

export function progressText(progress: ProgressMap): string {
  return [...inIdOrder(progress)].map(([id, replica]) => `${id}: ${replica}\n`).join("");
}
