import type { Command, Reply } from "@nexus-federation/proto/command.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { TurnoverMap } from "../base/turnover-map.ts";
import type { Outcome } from "./api.ts";

export interface PendingProposal {
  index: number;
  term: number;
  command: Command;
  sizeBytes: number;
  /** Monotonic ms. */
  deadlineMs: number;
  done: (outcome: Outcome) => void;
}

/** How an entry was applied, apart from its reply. */
export interface AppliedAt {
  generation: number;
  copies: number;
  boxes: string[];
}

/** Bytes of encoded commands that wait, summed over all tables that share it. */
export interface PendingTotal {
  bytes: number;
}

/**
 * Proposals of this replica that stand in its log and are not answered. Their fate is known when an entry is applied at
 * their index: theirs, by term, or another's, and then also all later ones of older terms can never be applied.
 */
export class PendingTable {
  readonly #byIndex = new TurnoverMap<number, PendingProposal>();
  readonly #total: PendingTotal;
  /** No deadline is earlier than this. */
  #earliestMs = Number.POSITIVE_INFINITY;
  #bytes = 0;
  /** Highest term of an applied entry. */
  #appliedTerm = 0;
  /** Answers so far. */
  committed = 0;
  refused = 0;
  unknown = 0;

  constructor(total: PendingTotal) {
    this.#total = total;
  }

  get count(): number {
    return this.#byIndex.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(proposal: PendingProposal): void {
    // Same index, older term: it can be in no log that holds the new entry, but another log may still bring it back.
    const former = this.#byIndex.get(proposal.index);
    if (former !== undefined) this.#finish(former, { kind: "refused", refusal: unknownOutcome() });
    this.#byIndex.set(proposal.index, proposal);
    this.#addBytes(proposal.sizeBytes);
    if (proposal.deadlineMs < this.#earliestMs) this.#earliestMs = proposal.deadlineMs;
  }

  /** The proposal that the entry is, if it is ours. Others that this entry rules out are refused. */
  take(index: number, term: number, leaderBox: () => string): PendingProposal | undefined {
    if (term > this.#appliedTerm) {
      this.#appliedTerm = term;
      for (const proposal of this.#byIndex.values()) {
        if (proposal.term < term) this.#finish(proposal, { kind: "refused", refusal: notApplied(leaderBox()) });
      }
    }
    const proposal = this.#byIndex.get(index);
    if (proposal === undefined || proposal.term !== term) return undefined;
    this.#byIndex.delete(index);
    this.#addBytes(-proposal.sizeBytes);
    this.committed++;
    return proposal;
  }

  /** State up to `index` came as a snapshot: what was proposed below may or may not be in it. */
  skippedTo(index: number): void {
    for (const proposal of this.#byIndex.values()) {
      if (proposal.index <= index) this.#finish(proposal, { kind: "refused", refusal: unknownOutcome() });
    }
  }

  expire(nowMs: number): void {
    if (nowMs < this.#earliestMs) return;
    this.#earliestMs = Number.POSITIVE_INFINITY;
    for (const proposal of this.#byIndex.values()) {
      if (proposal.deadlineMs <= nowMs) this.#finish(proposal, { kind: "refused", refusal: unknownOutcome() });
      else if (proposal.deadlineMs < this.#earliestMs) this.#earliestMs = proposal.deadlineMs;
    }
  }

  /** The host stops or the replica goes away. */
  abandon(): void {
    for (const proposal of this.#byIndex.values()) {
      this.#finish(proposal, { kind: "refused", refusal: unknownOutcome() });
    }
  }

  #finish(proposal: PendingProposal, outcome: Extract<Outcome, { kind: "refused" }>): void {
    if (outcome.refusal.code === "UNKNOWN_OUTCOME") this.unknown++;
    else this.refused++;
    this.#byIndex.delete(proposal.index);
    this.#addBytes(-proposal.sizeBytes);
    proposal.done(outcome);
  }

  #addBytes(bytes: number): void {
    this.#bytes += bytes;
    this.#total.bytes += bytes;
  }
}

export function appliedOutcome(proposal: PendingProposal, reply: Reply, at: AppliedAt): Outcome {
  const { index, command } = proposal;
  return { kind: "applied", index, reply, logTimeMs: command.logTimeMs, ...at };
}

export function notApplied(leaderBox: string): Refusal {
  return refuse("NO_LEADER", "This replica does not lead the log; nothing was applied.", { leaderBox });
}

export function unknownOutcome(): Refusal {
  return refuse(
    "UNKNOWN_OUTCOME",
    "The command was written to the log, but whether it is applied is not known; retry with the same request id.",
  );
}
