import type { Mode, PairSoloRules } from "../pairsolo.ts";
import { pairSoloRules } from "../pairsolo.ts";
import { type WitnessRules, witnessRules } from "../witness.ts";
import { type Held, Kind, lastEpoch, type Member, type Message, Role, type State, unpack, W } from "./base-state.ts";

/** What processes and disks do around the rules, so that a mutant can do it wrongly. */
export interface World {
  /** The witness's disk at the moment the reply leaves. */
  diskAtReply(before: Held, after: Held): Held;
  /** The witness that answers under the configured incarnation after its disk was lost. */
  afterWitnessLoss(lost: Held): Held;
  /** The member that answers under the configured incarnation after its disk was lost; undefined: nobody does. */
  afterMemberLoss(lost: Member): Member | undefined;
  /** Whether the change of mode is written into the log. */
  writesEpochChange(mode: Mode): boolean;
  /** The last epoch that a candidate names. */
  candidateEpoch(member: Member): number;
}

export const world: World = {
  diskAtReply: (_before, after) => after,
  afterWitnessLoss: () => undefined,
  afterMemberLoss: () => undefined,
  writesEpochChange: () => true,
  candidateEpoch: lastEpoch,
};

export interface BaseRules {
  readonly witness: WitnessRules;
  readonly leader: PairSoloRules;
  readonly world: World;
}

export const baseRules: BaseRules = { witness: witnessRules, leader: pairSoloRules, world };

export interface BaseBounds {
  readonly terms: number;
  readonly entries: number;
  /** Highest epoch of a term. */
  readonly epochs: number;
  /** Disks may be lost. */
  readonly losses?: boolean;
  /** A leader's own tail may be lost at a restart. */
  readonly unsynced?: boolean;
  /** The witness's refusals of WEngage travel too. */
  readonly refusals?: boolean;
  /** Replies that the rules never count stay in flight: larger, but fair to mutants that count them. */
  readonly lateReplies?: boolean;
  /** This one (A 0, B 1, W 2) takes no more steps and receives nothing. */
  readonly dead?: number;
}

/** Drops what can have no effect any more, so that equivalent states meet. */
export function reduce(state: State, bounds: BaseBounds, rules: BaseRules): void {
  for (const member of state.members) {
    if (member.role !== Role.Candidate) member.votes = 0;
    if (member.role !== Role.Leader) {
      member.match = 0;
      member.solo = 0;
      member.epoch = 0;
      member.acked = 0;
    }
  }
  let kept = 0;
  for (const code of state.soup) {
    const m = unpack(code);
    if (
      m.to === W ? liveAtWitness(state.witness, m, { bounds, rules }) : liveAtMember(state.members[m.to]!, m, bounds)
    ) {
      state.soup[kept++] = code;
    }
  }
  state.soup.length = kept;
}

function liveAtWitness(record: Held, m: Message, { bounds, rules }: Setup): boolean {
  if (bounds.losses || bounds.refusals || record === undefined || record !== rules.witness.recordFor(record, W)) {
    return true;
  }
  if (m.term < record.term) return false;
  if (m.kind === Kind.WitnessVote) {
    return m.term > record.term || record.votedFor === undefined || record.votedFor === m.from;
  }
  return rules.witness.rank(record, { term: m.term, leader: m.from, epoch: m.a }) >= 0;
}

function liveAtMember(member: Member, m: Message, bounds: BaseBounds): boolean {
  if (m.kind === Kind.EngageReply && bounds.lateReplies) return true;
  if (m.term < member.term) return false;
  if (m.kind === Kind.VoteReply) {
    return member.term === m.term && member.role === Role.Candidate && ((member.votes >> m.from) & 1) === 0;
  }
  const leads = member.term === m.term && member.role === Role.Leader;
  if (m.kind === Kind.AppendReply) return leads && member.match < m.a;
  if (m.kind !== Kind.EngageReply) return true;
  return (
    m.term > member.term || (leads && m.b === 1 && member.epoch === m.a && member.solo === 1 && member.acked === 0)
  );
}

interface Setup {
  readonly bounds: BaseBounds;
  readonly rules: BaseRules;
}
