import { isVoter, type JointConfig, jointText } from "../quorum/joint.ts";
import { majorityText, sortedIds } from "../quorum/majority.ts";
import type { ConfState } from "../types.ts";

/** The active membership. Configurations are replaced, never changed in place. */
export interface Config {
  readonly voters: JointConfig;
  /** The joint configuration is left by the leader itself once everything up to it is applied. */
  readonly autoLeave: boolean;
  /** Invariant: shares no id with either half of `voters`. */
  readonly learners: ReadonlySet<number>;
  /** Voters of the outgoing half alone that turn learners when it is left. Invariant: empty unless joint. */
  readonly learnersNext: ReadonlySet<number>;
  /** Invariant: each is a voter in one of the halves. */
  readonly witnesses: ReadonlySet<number>;
}

export const EMPTY_CONFIG: Config = {
  voters: { incoming: new Set(), outgoing: new Set() },
  autoLeave: false,
  learners: new Set(),
  learnersNext: new Set(),
  witnesses: new Set(),
};

export function isJoint(config: Config): boolean {
  return config.voters.outgoing.size > 0;
}

/** True when the local replica is all the voters there are. */
export function isSingleton(config: Config): boolean {
  return config.voters.incoming.size === 1 && !isJoint(config);
}

export function configText(config: Config): string {
  let text = `voters=${jointText(config.voters)}`;
  if (config.learners.size > 0) text += ` learners=${majorityText(config.learners)}`;
  if (config.learnersNext.size > 0) text += ` learners_next=${majorityText(config.learnersNext)}`;
  if (config.witnesses.size > 0) text += ` witnesses=${majorityText(config.witnesses)}`;
  if (config.autoLeave) text += " autoleave";
  return text;
}

export function confStateOf(config: Config): ConfState {
  return {
    voters: sortedIds(config.voters.incoming),
    votersOutgoing: sortedIds(config.voters.outgoing),
    learners: sortedIds(config.learners),
    learnersNext: sortedIds(config.learnersNext),
    autoLeave: config.autoLeave,
    witnesses: sortedIds(config.witnesses).filter((id) => isVoter(config.voters, id)),
  };
}

/** True when both describe the same membership, whatever the order of their lists. */
export function sameConfState(left: ConfState, right: ConfState): boolean {
  return canonical(left) === canonical(right);
}

function canonical(state: ConfState): string {
  const lists = [state.voters, state.votersOutgoing, state.learners, state.learnersNext, state.witnesses];
  return `${lists.map((ids) => sortedIds(ids).join(",")).join(";")};${state.autoLeave}`;
}
