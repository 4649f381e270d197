import { EMPTY_CONFIG } from "../tracker/config.ts";
import type { InflightLimits } from "../tracker/tracker.ts";
import type { ConfChangeSingle, ConfState } from "../types.ts";
import { type ChangeResult, enterJoint, type Membership, simple } from "./changer.ts";

/**
 * Rebuilds a membership from its ConfState by making the changes that lead to it: the outgoing voters one by one, then
 * the step into the joint configuration; without an outgoing half, the members one by one.
 */
export function restore(state: ConfState, lastIndex: number, limits: InflightLimits): ChangeResult {
  const empty: Membership = { config: EMPTY_CONFIG, progress: new Map(), lastIndex, limits };
  const incoming = incomingChanges(state);
  if (state.votersOutgoing.length === 0) return oneByOne(empty, incoming);
  const outgoing = oneByOne(
    empty,
    state.votersOutgoing.map((id) => addVoter(state, id)),
  );
  return outgoing.ok ? enterJoint({ ...empty, ...outgoing }, state.autoLeave, incoming) : outgoing;
}

function oneByOne(from: Membership, changes: readonly ConfChangeSingle[]): ChangeResult {
  let result: ChangeResult = { ok: true, config: from.config, progress: from.progress };
  for (const change of changes) {
    result = simple({ ...from, config: result.config, progress: result.progress }, [change]);
    if (!result.ok) return result;
  }
  return result;
}

function incomingChanges(state: ConfState): ConfChangeSingle[] {
  const learner = (nodeId: number): ConfChangeSingle => ({ type: "ConfChangeAddLearnerNode", nodeId });
  return [
    ...state.votersOutgoing.map((nodeId): ConfChangeSingle => ({ type: "ConfChangeRemoveNode", nodeId })),
    ...state.voters.map((id) => addVoter(state, id)),
    ...state.learners.map(learner),
    ...state.learnersNext.map(learner),
  ];
}

function addVoter(state: ConfState, nodeId: number): ConfChangeSingle {
  return { type: state.witnesses.includes(nodeId) ? "ConfChangeAddWitness" : "ConfChangeAddNode", nodeId };
}
