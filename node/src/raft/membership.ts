import { Mode } from "./pairsolo.ts";
import type { ConfChangeSingle, ConfState } from "./types.ts";

/** What a leader knows when a membership change is asked of it. */
export interface MembershipView {
  /** The applied configuration. */
  readonly conf: ConfState;
  readonly leader: number;
  readonly mode: Mode;
  /** Whether a learner replicates and is close to the end of the log. */
  caughtUp(id: number): boolean;
}

/** The members that a change would lead to. */
interface Target {
  readonly full: ReadonlySet<number>;
  readonly witnesses: ReadonlySet<number>;
}

/**
 * Why a change must not be proposed, in one sentence, or undefined when it may. Every clause keeps a group out of a
 * state from which one loss stops it, or in which the witness could stand for a log that nobody holds
 * (raft-and-witness.md, Membership).
 */
export function membershipRefusal(view: MembershipView, changes: readonly ConfChangeSingle[]): string | undefined {
  if (view.conf.votersOutgoing.length > 0) return "A membership change is under way; wait until it is done.";
  const now = currentMembers(view.conf);
  const target = targetOf(now, changes);
  if (typeof target === "string") return target;
  return shapeRefusal(now, target) ?? stepRefusal(view, now, target) ?? witnessRefusal(view, now, target);
}

function currentMembers(conf: ConfState): Target {
  const witnesses = new Set(conf.witnesses);
  return { full: new Set(conf.voters.filter((id) => !witnesses.has(id))), witnesses };
}

function targetOf(now: Target, changes: readonly ConfChangeSingle[]): Target | string {
  const full = new Set(now.full);
  const witnesses = new Set(now.witnesses);
  for (const { type, nodeId } of changes) {
    if (type === "ConfChangeUpdateNode") continue;
    if (type === "ConfChangeAddWitness") {
      if (full.has(nodeId)) return `Replica ${nodeId} holds a log and cannot become a witness; add a new replica.`;
      witnesses.add(nodeId);
      continue;
    }
    if (witnesses.has(nodeId) && type !== "ConfChangeRemoveNode") {
      return `Replica ${nodeId} is a witness and cannot hold a log; add a new replica.`;
    }
    full.delete(nodeId);
    witnesses.delete(nodeId);
    if (type === "ConfChangeAddNode") full.add(nodeId);
  }
  return { full, witnesses };
}

/** Refuses memberships that must not exist. */
function shapeRefusal(now: Target, { full, witnesses }: Target): string | undefined {
  if (full.size === 0) return "A group needs at least one full member.";
  if (witnesses.size > 1) return "A group has at most one witness; remove the old one in the same step.";
  if (witnesses.size === 1 && full.size === 1 && now.full.size === 2) {
    return "One full member and a witness would stop at the next loss; remove the witness in the same step.";
  }
  if (witnesses.size === 1 && full.size !== 2) {
    return `A witness stands beside exactly two full members, not ${full.size}.`;
  }
  return undefined;
}

/** Refuses steps that are too long, or begin with a member that is not ready. */
function stepRefusal(view: MembershipView, now: Target, target: Target): string | undefined {
  const joining = added(now.full, target.full);
  const leaving = added(target.full, now.full);
  if (leaving.includes(view.leader)) {
    return `Replica ${view.leader} leads and cannot be removed; transfer leadership first.`;
  }
  const witnessed = now.witnesses.size + target.witnesses.size > 0;
  if (Math.min(joining.length, leaving.length) > 1 || (witnessed && Math.max(joining.length, leaving.length) > 1)) {
    return "A change replaces at most one full member; make it in several steps.";
  }
  for (const id of joining) {
    if (!view.conf.learners.includes(id)) return `Replica ${id} must join as a learner before it can be a voter.`;
    if (!view.caughtUp(id)) return `Replica ${id} has not caught up yet; wait before making it a voter.`;
  }
  return undefined;
}

function witnessRefusal(view: MembershipView, now: Target, target: Target): string | undefined {
  const [joining] = added(now.witnesses, target.witnesses);
  const [leaving] = added(target.witnesses, now.witnesses);
  if (joining !== undefined && leaving !== undefined && view.mode !== Mode.PAIR) {
    return "A witness is replaced in PAIR only; bring the other full member back first.";
  }
  if (leaving !== undefined && joining === undefined && target.full.size === 2 && now.full.size === 2) {
    return "Two full members without a witness stop at the first loss; remove one of them in the same step.";
  }
  return undefined;
}

function added(from: ReadonlySet<number>, to: ReadonlySet<number>): number[] {
  return [...to].filter((id) => !from.has(id));
}
