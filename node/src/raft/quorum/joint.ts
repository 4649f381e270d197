import {
  type AckedIndex,
  describeMajority,
  type MajorityConfig,
  majorityCommitted,
  majorityText,
  majorityVote,
  type VoteResult,
} from "./majority.ts";

/** Two majorities that must both agree; `outgoing` is empty outside a joint configuration. */
export interface JointConfig {
  readonly incoming: MajorityConfig;
  readonly outgoing: MajorityConfig;
}

export function isVoter(config: JointConfig, id: number): boolean {
  return config.incoming.has(id) || config.outgoing.has(id);
}

export function jointIds(config: JointConfig): ReadonlySet<number> {
  return config.outgoing.size === 0 ? config.incoming : new Set([...config.incoming, ...config.outgoing]);
}

/** The largest index that both halves have committed. */
export function jointCommitted(config: JointConfig, acked: AckedIndex): number {
  const incoming = majorityCommitted(config.incoming, acked);
  return config.outgoing.size === 0 ? incoming : Math.min(incoming, majorityCommitted(config.outgoing, acked));
}

export function jointVote(config: JointConfig, votes: ReadonlyMap<number, boolean>): VoteResult {
  const incoming = majorityVote(config.incoming, votes);
  const outgoing = majorityVote(config.outgoing, votes);
  if (incoming === outgoing) return incoming;
  return incoming === "VoteLost" || outgoing === "VoteLost" ? "VoteLost" : "VotePending";
}

export function jointText(config: JointConfig): string {
  const incoming = majorityText(config.incoming);
  return config.outgoing.size === 0 ? incoming : `${incoming}&&${majorityText(config.outgoing)}`;
}

export function describeJoint(config: JointConfig, acked: AckedIndex): string {
  return describeMajority(jointIds(config), acked);
}
