import { InvariantError } from "../base/assert.ts";
import { noBytes } from "../base/bytes.ts";
import { type ChangeResult, enterJoint, leaveJoint, type Membership, simple } from "./confchange/changer.ts";
import { decodeConfChange } from "./confchange/codec.ts";
import { describeConfChange, hex } from "./describe.ts";
import { isVoter } from "./quorum/joint.ts";
import type { Raft } from "./raft.ts";
import { hasWitness, isLeaving, membersOf, openConfEpoch, regimeCommitted, requestEngagements } from "./regime.ts";
import { broadcastAppend, maybeSendAppend } from "./replication.ts";
import { type Config, configText, confStateOf, isJoint } from "./tracker/config.ts";
import type { ProgressMap } from "./tracker/tracker.ts";
import { type ConfChange, type ConfState, type Entry, NONE } from "./types.ts";

/**
 * A proposed entry as it may enter the log: a configuration change that does not fit the active configuration becomes
 * an empty entry. At most one change is under way at a time. `offset` is the entry's place in the proposal.
 */
export function checkedConfEntry(r: Raft, entry: Entry, offset: number): Pick<Entry, "type" | "data"> {
  if (entry.type !== "EntryConfChange" && entry.type !== "EntryConfChangeV2") return entry;
  const change = decodeConfChange(entry.data);
  if (change === undefined) throw new InvariantError("a proposed configuration change cannot be decoded");
  const problem = r.settings.disableConfChangeValidation ? undefined : confChangeProblem(r, change);
  if (problem === undefined) {
    r.pendingConfIndex = r.log.lastIndex() + offset + 1;
    const addsWitness = change.changes.some(({ type }) => type === "ConfChangeAddWitness");
    openConfEpoch(r, r.pendingConfIndex, addsWitness);
    return entry;
  }
  r.logger.info?.(
    `${hex(r.id)} ignoring conf change ${describeConfChange(change)} at config ${configText(r.tracker.config)}: ${problem}`,
  );
  return { type: "EntryNormal", data: noBytes };
}

/**
 * Puts the committed configuration change of entry `index` into effect; returns the configuration to store with the
 * applied index. One that a snapshot has overtaken is in effect already.
 */
export function applyConfChange(r: Raft, change: ConfChange, index: number): ConfState {
  if (index <= r.configIndex) return confStateOf(r.tracker.config);
  r.configIndex = index;
  const { config, progress, limits } = r.tracker;
  const changed = changedMembership({ config, progress, limits, lastIndex: r.log.lastIndex() }, change);
  if (!changed.ok) throw new InvariantError(`committed configuration change cannot be applied: ${changed.reason}`);
  return switchToConfig(r, changed);
}

/** Makes `next` the active configuration, and acts on what that changes for a leader. */
export function switchToConfig(r: Raft, next: { config: Config; progress: ProgressMap }): ConfState {
  r.tracker.install(next.config, next.progress);
  r.members = membersOf(next.config, r.id);
  r.logger.info?.(`${hex(r.id)} switched to configuration ${configText(next.config)}`);
  const state = confStateOf(next.config);
  const own = r.tracker.progress.get(r.id);
  r.isLearner = own?.isLearner ?? false;
  if (r.state !== "StateLeader") return state;
  if (own === undefined || r.isLearner) {
    if (r.settings.stepDownOnRemoval) r.becomeFollower(r.term, NONE);
    return state;
  }
  if (state.voters.length === 0) return state;
  requestEngagements(r);
  if (maybeCommit(r)) {
    broadcastAppend(r);
  } else {
    // Replicas that were added are probed at once.
    for (const id of r.tracker.progress.keys()) if (id !== r.id) maybeSendAppend(r, id, false);
  }
  if (r.leadTransferee !== NONE && !isVoter(next.config.voters, r.leadTransferee)) r.leadTransferee = NONE;
  return state;
}

/** Commits what a quorum has acknowledged; true when the commit index moved. */
export function maybeCommit(r: Raft): boolean {
  const { regime } = r;
  const index = regime !== undefined && hasWitness(r) ? regimeCommitted(r, regime) : r.tracker.committed();
  return r.log.maybeCommit({ term: r.term, index });
}

function changedMembership(from: Membership, change: ConfChange): ChangeResult {
  const { transition, changes } = change;
  if (transition === "ConfChangeTransitionAuto") {
    if (changes.length === 0) return leaveJoint(from);
    if (changes.length === 1) return simple(from, changes);
  }
  return enterJoint(from, transition !== "ConfChangeTransitionJointExplicit", changes);
}

function confChangeProblem(r: Raft, change: ConfChange): string | undefined {
  const leaves = change.changes.length === 0;
  const joint = isJoint(r.tracker.config);
  if (r.pendingConfIndex > r.log.applied) {
    return `possible unapplied conf change at index ${r.pendingConfIndex} (applied to ${r.log.applied})`;
  }
  if (joint && !leaves) return "must transition out of joint config first";
  if (joint && isLeaving(r)) return "leader is not among the incoming voters; transfer leadership first";
  if (!joint && leaves) return "not in joint state; refusing empty conf change";
  return undefined;
}
