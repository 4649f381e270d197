/**
 * The epoch witness: the third voter of a group with two full members, which stores under 100 bytes and no log.
 * A witness that votes without looking at anything elects a leader that lacks an acknowledged entry, and one that is
 * never counted for commits is no use when a member is down. So the witness remembers one thing, the newest
 * engagement: which leader, in which term and epoch, commits with its help. It votes only for a log that must hold
 * everything committed so: one that ends in a later epoch, or the engaged leader's own. The decisions are the members
 * of one object, so that the model checker can take out a single clause and run everything else unchanged.
 */

/** What a witness keeps of one group. `Id` is an incarnation in whatever form compares with `===`. */
export interface WitnessRecord<Id> {
  /** Drawn at Join, named by the configuration entry. Invariant: never changes; a new record has a new one. */
  readonly incarnation: Id;
  /** Highest term seen. Invariant: never decreases. */
  readonly term: number;
  /** The incarnation that has this witness's vote in `term`. */
  readonly votedFor: Id | undefined;
  /** Invariant: (engTerm, engEpoch) never decreases, and a vote never changes it. */
  readonly engTerm: number;
  readonly engEpoch: number;
  /** The leader incarnation engaged at (engTerm, engEpoch). */
  readonly engHolder: Id | undefined;
}

export interface WitnessVote<Id> {
  readonly term: number;
  readonly cand: Id;
  /** Term and epoch of the candidate's last log entry, or of its snapshot when the log is empty. */
  readonly lastTerm: number;
  readonly lastEpoch: number;
  /** A PreVote: asks only whether the vote would be granted. */
  readonly pre: boolean;
}

export interface WitnessEngage<Id> {
  readonly term: number;
  readonly leader: Id;
  readonly epoch: number;
}

export interface WitnessPing {
  readonly term: number;
}

export interface WitnessVoteReply {
  readonly term: number;
  readonly granted: boolean;
}

export interface WitnessEngageReply {
  readonly term: number;
  /** The epoch of the request that is answered. */
  readonly epoch: number;
  readonly ok: boolean;
}

export interface WitnessPingReply {
  readonly term: number;
}

/** Invariant: when `changed`, the record is durable before the reply leaves; otherwise it is the record given. */
export interface WitnessOutcome<Id, Reply> {
  readonly record: WitnessRecord<Id>;
  readonly changed: boolean;
  readonly reply: Reply;
}

export interface WitnessRules {
  /** The record of a group just joined. The caller draws an incarnation that was never used. */
  join<Id>(incarnation: Id): WitnessRecord<Id>;
  /** The record a message is for; undefined refuses the message, which then creates and changes nothing. */
  recordFor<Id>(record: WitnessRecord<Id> | undefined, incarnation: Id): WitnessRecord<Id> | undefined;
  /** Whether the candidate's log must hold every entry that was committed with this witness's help. */
  up<Id>(record: WitnessRecord<Id>, vote: WitnessVote<Id>): boolean;
  /** The record after seeing a term: a higher one is adopted and frees the vote. */
  seen<Id>(record: WitnessRecord<Id>, term: number): WitnessRecord<Id>;
  /** Whether the vote of the current term is free for, or already with, the candidate. */
  voteFree<Id>(record: WitnessRecord<Id>, cand: Id): boolean;
  /** Sign of (term, epoch) of the request against the engagement held. */
  rank<Id>(record: WitnessRecord<Id>, engage: WitnessEngage<Id>): number;
  onVote<Id>(record: WitnessRecord<Id>, vote: WitnessVote<Id>): WitnessOutcome<Id, WitnessVoteReply>;
  onEngage<Id>(record: WitnessRecord<Id>, engage: WitnessEngage<Id>): WitnessOutcome<Id, WitnessEngageReply>;
  onPing<Id>(record: WitnessRecord<Id>, ping: WitnessPing): WitnessPingReply;
}

export const witnessRules: WitnessRules = {
  join<Id>(incarnation: Id): WitnessRecord<Id> {
    return { incarnation, term: 0, votedFor: undefined, engTerm: 0, engEpoch: 0, engHolder: undefined };
  },

  recordFor<Id>(record: WitnessRecord<Id> | undefined, incarnation: Id): WitnessRecord<Id> | undefined {
    return record !== undefined && record.incarnation === incarnation ? record : undefined;
  },

  up<Id>(record: WitnessRecord<Id>, vote: WitnessVote<Id>): boolean {
    if (vote.lastTerm !== record.engTerm) return vote.lastTerm > record.engTerm;
    if (vote.lastEpoch !== record.engEpoch) return vote.lastEpoch > record.engEpoch;
    return vote.cand === record.engHolder;
  },

  seen<Id>(record: WitnessRecord<Id>, term: number): WitnessRecord<Id> {
    return term > record.term ? { ...record, term, votedFor: undefined } : record;
  },

  voteFree<Id>(record: WitnessRecord<Id>, cand: Id): boolean {
    return record.votedFor === undefined || record.votedFor === cand;
  },

  rank<Id>(record: WitnessRecord<Id>, engage: WitnessEngage<Id>): number {
    return engage.term === record.engTerm ? engage.epoch - record.engEpoch : engage.term - record.engTerm;
  },

  onVote<Id>(record: WitnessRecord<Id>, vote: WitnessVote<Id>): WitnessOutcome<Id, WitnessVoteReply> {
    if (vote.pre) {
      const granted = vote.term > record.term && this.up(record, vote);
      return { record, changed: false, reply: { term: record.term, granted } };
    }
    if (vote.term < record.term) return { record, changed: false, reply: { term: record.term, granted: false } };
    let next = this.seen(record, vote.term);
    const granted = this.up(next, vote) && this.voteFree(next, vote.cand);
    if (granted && next.votedFor !== vote.cand) next = { ...next, votedFor: vote.cand };
    return { record: next, changed: next !== record, reply: { term: next.term, granted } };
  },

  onEngage<Id>(record: WitnessRecord<Id>, engage: WitnessEngage<Id>): WitnessOutcome<Id, WitnessEngageReply> {
    const { term, leader, epoch } = engage;
    if (term < record.term) return { record, changed: false, reply: { term: record.term, epoch, ok: false } };
    let next = this.seen(record, term);
    const rank = this.rank(next, engage);
    const ok = rank > 0 || (rank === 0 && leader === next.engHolder);
    if (rank > 0) next = { ...next, engTerm: term, engEpoch: epoch, engHolder: leader };
    return { record: next, changed: next !== record, reply: { term: next.term, epoch, ok } };
  },

  onPing<Id>(record: WitnessRecord<Id>, _ping: WitnessPing): WitnessPingReply {
    return { term: record.term };
  },
};
