import { InvariantError, unreachable } from "../../base/assert.ts";
import { isVoter } from "../quorum/joint.ts";
import { type Config, isJoint } from "../tracker/config.ts";
import { Inflights } from "../tracker/inflights.ts";
import { Progress } from "../tracker/progress.ts";
import type { InflightLimits, ProgressMap } from "../tracker/tracker.ts";
import type { ConfChangeSingle } from "../types.ts";

/** What a change starts from. */
export interface Membership {
  readonly config: Config;
  readonly progress: ProgressMap;
  /** Where replicas that are added are probed first. */
  readonly lastIndex: number;
  readonly limits: InflightLimits;
}

export type ChangeResult =
  | { readonly ok: true; readonly config: Config; readonly progress: ProgressMap }
  | { readonly ok: false; readonly reason: string };

/**
 * Enters a joint configuration: the incoming voters become the outgoing half too, then `changes` are made to the
 * incoming half.
 */
export function enterJoint(from: Membership, autoLeave: boolean, changes: readonly ConfChangeSingle[]): ChangeResult {
  const draft = new Draft(from);
  if (isJoint(from.config)) return refused("config is already joint");
  if (draft.incoming.size === 0) return refused("can't make a zero-voter config joint");
  draft.outgoing = new Set(draft.incoming);
  const reason = draft.apply(changes);
  return reason === undefined ? draft.finish(autoLeave) : refused(reason);
}

/** Drops the outgoing half; voters that were to become learners do so now. */
export function leaveJoint(from: Membership): ChangeResult {
  const draft = new Draft(from);
  if (!isJoint(from.config)) return refused("can't leave a non-joint config");
  for (const id of draft.learnersNext) {
    draft.learners.add(id);
    draft.progressOf(id).isLearner = true;
  }
  draft.learnersNext.clear();
  for (const id of draft.outgoing) {
    if (!draft.incoming.has(id) && !draft.learners.has(id)) draft.progress.delete(id);
  }
  draft.outgoing = new Set();
  return draft.finish(false);
}

/** Makes changes that add or remove at most one voter, without a joint configuration. */
export function simple(from: Membership, changes: readonly ConfChangeSingle[]): ChangeResult {
  const draft = new Draft(from);
  if (isJoint(from.config)) return refused("can't apply simple config change in joint config");
  const reason = draft.apply(changes);
  if (reason !== undefined) return refused(reason);
  if (differences(from.config.voters.incoming, draft.incoming) > 1) {
    return refused("more than one voter changed without entering joint config");
  }
  return draft.finish(false);
}

/** The count of ids that are in one of the sets alone. */
function differences(left: ReadonlySet<number>, right: ReadonlySet<number>): number {
  let shared = 0;
  for (const id of left) if (right.has(id)) shared++;
  return left.size + right.size - 2 * shared;
}

function refused(reason: string): ChangeResult {
  return { ok: false, reason };
}

/** A copy of a membership that can be changed. */
class Draft {
  readonly #from: Membership;
  readonly incoming: Set<number>;
  outgoing: Set<number>;
  readonly learners: Set<number>;
  readonly learnersNext: Set<number>;
  readonly witnesses: Set<number>;
  readonly progress = new Map<number, Progress>();

  constructor(from: Membership) {
    checkInvariants(from.config, from.progress);
    this.#from = from;
    this.incoming = new Set(from.config.voters.incoming);
    this.outgoing = new Set(from.config.voters.outgoing);
    this.learners = new Set(from.config.learners);
    this.learnersNext = new Set(from.config.learnersNext);
    this.witnesses = new Set(from.config.witnesses);
    for (const [id, progress] of from.progress) this.progress.set(id, progress.clone());
  }

  progressOf(id: number): Progress {
    const progress = this.progress.get(id);
    if (progress === undefined) throw new InvariantError(`no progress for ${id}`);
    return progress;
  }

  /** Makes the changes one after the other; returns why that cannot be done. */
  apply(changes: readonly ConfChangeSingle[]): string | undefined {
    for (const { type, nodeId } of changes) {
      if (nodeId === 0) continue;
      switch (type) {
        case "ConfChangeAddNode":
          this.#makeVoter(nodeId, false);
          break;
        case "ConfChangeAddWitness":
          if (this.progress.get(nodeId)?.isWitness === false) return `${nodeId} holds a log and can't become a witness`;
          this.#makeVoter(nodeId, true);
          break;
        case "ConfChangeAddLearnerNode":
          if (this.progress.get(nodeId)?.isWitness) return `${nodeId} is a witness and can't become a learner`;
          this.#makeLearner(nodeId);
          break;
        case "ConfChangeRemoveNode":
          this.#remove(nodeId);
          break;
        case "ConfChangeUpdateNode":
          break;
        default:
          unreachable(type, "configuration change");
      }
    }
    return this.incoming.size === 0 ? "removed all voters" : undefined;
  }

  finish(autoLeave: boolean): ChangeResult {
    const voters = { incoming: this.incoming, outgoing: this.outgoing };
    for (const id of this.witnesses) if (!isVoter(voters, id)) this.witnesses.delete(id);
    const { learners, learnersNext, witnesses, progress } = this;
    const config: Config = { voters, autoLeave, learners, learnersNext, witnesses };
    checkInvariants(config, progress);
    return { ok: true, config, progress };
  }

  #makeVoter(id: number, isWitness: boolean): void {
    const known = this.progress.get(id);
    if (known === undefined) this.#addProgress(id, { isLearner: false, isWitness });
    else known.isLearner = false;
    this.learners.delete(id);
    this.learnersNext.delete(id);
    this.incoming.add(id);
    if (isWitness) this.witnesses.add(id);
  }

  /** A voter of the outgoing half becomes a learner only when that half is left. */
  #makeLearner(id: number): void {
    const known = this.progress.get(id);
    if (known === undefined) {
      this.learners.add(id);
      this.#addProgress(id, { isLearner: true, isWitness: false });
      return;
    }
    if (known.isLearner) return;
    this.#remove(id);
    this.progress.set(id, known);
    if (this.outgoing.has(id)) {
      this.learnersNext.add(id);
    } else {
      known.isLearner = true;
      this.learners.add(id);
    }
  }

  #remove(id: number): void {
    if (!this.progress.has(id)) return;
    this.incoming.delete(id);
    this.learners.delete(id);
    this.learnersNext.delete(id);
    if (!this.outgoing.has(id)) this.progress.delete(id);
  }

  /** A new replica counts as active, so that CheckQuorum does not fail before it could speak. */
  #addProgress(id: number, kind: { isLearner: boolean; isWitness: boolean }): void {
    const { lastIndex, limits } = this.#from;
    const inflights = new Inflights(limits.countMax, limits.bytesMax);
    const next = Math.max(lastIndex, 1);
    this.progress.set(id, new Progress({ match: 0, next, inflights, recentActive: true, ...kind }));
  }
}

function checkInvariants(config: Config, progress: ProgressMap): void {
  const { voters, learners, learnersNext } = config;
  for (const ids of [voters.incoming, voters.outgoing, learners, learnersNext, config.witnesses]) {
    for (const id of ids) if (!progress.has(id)) throw new InvariantError(`no progress for ${id}`);
  }
  for (const id of learnersNext) {
    if (!voters.outgoing.has(id)) throw new InvariantError(`${id} is a learner to be, but no outgoing voter`);
    if (progress.get(id)?.isLearner) throw new InvariantError(`${id} is a learner to be, but already a learner`);
  }
  for (const id of learners) {
    if (isVoter(voters, id)) throw new InvariantError(`${id} is a learner and a voter`);
    if (!progress.get(id)?.isLearner) throw new InvariantError(`${id} is a learner, but not marked as one`);
  }
  for (const id of config.witnesses) {
    if (!isVoter(voters, id) || !progress.get(id)?.isWitness) throw new InvariantError(`witness ${id} is no voter`);
  }
  if (!isJoint(config) && (learnersNext.size > 0 || config.autoLeave)) {
    throw new InvariantError("only a joint configuration has learners to be or is left by itself");
  }
}
