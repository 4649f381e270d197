import type { Command } from "@nexus-federation/proto/command.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import type { Outcome, Proposal } from "./api.ts";
import { encodeCommand } from "./entry.ts";
import { notApplied, type PendingProposal } from "./pending.ts";

export interface QueuedProposal {
  command: Command;
  deadlineMs: number;
  done: (outcome: Outcome) => void;
}

/** What the queue needs to know of its replica when it is emptied into the log. */
export interface ProposalContext {
  nowMs: number;
  wallMs: number;
  /** Highest log time stamped or applied so far. */
  logTimeMs: number;
  term: number;
  lastIndex: number;
  entryBytesMax: number;
  /** Bytes that may still be taken. */
  bytesLeft: number;
  leaderBox: string;
}

/** Proposals taken since the last turn. They leave as one append, stamped with the log's time and encoded once. */
export class ProposalQueue {
  #queued: QueuedProposal[] = [];
  /** Answered with a refusal so far, those that never came to the queue included. */
  refused = 0;

  get count(): number {
    return this.#queued.length;
  }

  /** True when a command that waits is such a one. */
  some(isSuch: (command: Command) => boolean): boolean {
    return this.#queued.some(({ command }) => isSuch(command));
  }

  add(proposal: Proposal, nowMs: number): void {
    const { command, timeoutMs, done } = proposal;
    this.#queued.push({ command, deadlineMs: nowMs + timeoutMs, done });
  }

  refuseAll(refusal: () => Refusal): void {
    const queued = this.#queued;
    this.#queued = [];
    for (const { done } of queued) this.#refuse(done, refusal());
  }

  #refuse(done: QueuedProposal["done"], refusal: Refusal): void {
    this.refused++;
    done({ kind: "refused", refusal });
  }

  /** Refuses what waited in vain for the leader to be ready. */
  expire(nowMs: number): void {
    if (!this.#queued.some((proposal) => proposal.deadlineMs <= nowMs)) return;
    const queued = this.#queued;
    this.#queued = [];
    for (const proposal of queued) {
      if (proposal.deadlineMs > nowMs) this.#queued.push(proposal);
      else this.#refuse(proposal.done, deadline());
    }
  }

  /**
   * Empties the queue into `propose` and returns what now stands in the log. A refusal of `propose` is everybody's; an
   * oversized command or an expired one is refused alone.
   */
  flush(
    context: ProposalContext,
    propose: (datas: Uint8Array[]) => string | undefined,
  ): { pending: PendingProposal[]; logTimeMs: number } {
    const queued = this.#queued;
    this.#queued = [];
    const { term } = context;
    const logTimeMs = Math.max(context.logTimeMs, context.wallMs);
    const datas: Uint8Array[] = [];
    const pending: PendingProposal[] = [];
    let bytes = 0;
    for (const { command, deadlineMs, done } of queued) {
      const stamped = { ...command, logTimeMs };
      const data = encodeCommand(stamped);
      const refusal = refusalOf(context, { deadlineMs, sizeBytes: data.length, queuedBytes: bytes });
      if (refusal !== undefined) {
        this.#refuse(done, refusal);
        continue;
      }
      bytes += data.length;
      const index = context.lastIndex + 1 + datas.length;
      datas.push(data);
      pending.push({ index, term, command: stamped, sizeBytes: data.length, deadlineMs, done });
    }
    if (datas.length === 0) return { pending, logTimeMs: context.logTimeMs };
    if (propose(datas) === undefined) return { pending, logTimeMs };
    for (const { done } of pending) this.#refuse(done, notApplied(context.leaderBox));
    return { pending: [], logTimeMs: context.logTimeMs };
  }
}

function deadline(): Refusal {
  return refuse("DEADLINE", "The time ran out before the leader could propose the command; nothing was applied.");
}

function refusalOf(
  { entryBytesMax, bytesLeft, nowMs }: ProposalContext,
  entry: { deadlineMs: number; sizeBytes: number; queuedBytes: number },
): Refusal | undefined {
  if (entry.sizeBytes > entryBytesMax) {
    return refuse("TOO_LARGE", `The command has ${entry.sizeBytes} bytes, a log entry takes ${entryBytesMax}.`);
  }
  if (entry.queuedBytes + entry.sizeBytes > bytesLeft) {
    return refuse("OVERLOADED", "Too many bytes wait for this log.", { retryAfterMs: 50 });
  }
  return entry.deadlineMs <= nowMs ? deadline() : undefined;
}
