/**
 * The leader's side of the 2+1 group: when the witness may stand for the missing full member. Counting the witness
 * like a follower loses entries (it holds none); never counting it stops all writes at the first loss. A leader is
 * therefore in one of two modes, PAIR (commits need the full members) and SOLO (an engaged witness acknowledges in
 * the peer's place), and every switch starts a new epoch, written into the log, that makes older engagements and
 * their late replies worthless. Everything here is a function of small plain values, called by the Raft core and by
 * the model checker alike; the checker overrides single members of `pairSoloRules`.
 */

export const Mode = { PAIR: "PAIR", SOLO: "SOLO" } as const;
export type Mode = (typeof Mode)[keyof typeof Mode];

/** One half of a configuration: replica ids of its voters, the witness among them. Empty: the half does not exist. */
export type Half = readonly number[];

/** [incoming] or [incoming, outgoing] of the applied configuration. */
export type Halves = readonly Half[];

/** Volatile state of a leader. Replica ids are never reused, so a witness's id stands for its incarnation. */
export interface LeaderEpoch {
  mode: Mode;
  /** Invariant: never decreases within a term. */
  epoch: number;
  /** Index of the first entry of (own term, own epoch). Invariant: all later entries have the same epoch. */
  epochStart: number;
  /** Replica id of a witness → epoch it is engaged for. Invariant: empty at election, emptied by every epoch++. */
  readonly wAcked: Map<number, number>;
}

export interface Members {
  readonly halves: Halves;
  readonly self: number;
  isWitness(id: number): boolean;
}

export interface CommitView extends Members {
  readonly leader: LeaderEpoch;
  /** Highest index of the own log that is durable here. */
  readonly selfDurable: number;
  /** Highest index known durable on a full peer; 0 when unknown. */
  match(id: number): number;
  readonly lastIndex: number;
  /** Index of the first entry of the own term (the election's no-op). */
  readonly termStart: number;
}

export interface EngageReply {
  readonly term: number;
  readonly epoch: number;
  readonly ok: boolean;
}

export interface SoloEntry {
  readonly mode: Mode;
  /** Some half with a witness lacks its peer: `lacksPeer` with "heard within soloAfter". */
  readonly lacking: boolean;
  /** A proposal, a read or a configuration change waits. */
  readonly waiting: boolean;
  readonly draining: boolean;
}

export interface PairEntry {
  readonly mode: Mode;
  /** `lacksPeer` with "replicating and within N entries of the tail". */
  readonly lacking: boolean;
  /** The minimum dwell in SOLO (longer on flapping) has passed. */
  readonly dwelt: boolean;
}

export interface LocalReadView extends Members {
  readonly leader: LeaderEpoch;
  readonly commit: number;
  readonly termStart: number;
  readonly transferring: boolean;
}

export interface PairSoloRules {
  /** Whether the ids for which `has` holds are a majority of each half; an empty half agrees. */
  quorum(halves: Halves, has: (id: number) => boolean): boolean;
  /** A new leader's mode and epoch; SOLO when its vote quorum is not one without the witnesses. */
  elected(members: Members, voted: (id: number) => boolean, noopIndex: number): LeaderEpoch;
  /** Whether a WEngage may be sent: the entry that opened the epoch is durable here. */
  mayEngage(leader: LeaderEpoch, witness: number, selfDurable: number): boolean;
  engageReplyCounts(leader: LeaderEpoch, ownTerm: number, reply: EngageReply): boolean;
  /** Records a reply that counts. */
  engaged(leader: LeaderEpoch, witness: number): void;
  isEngaged(leader: LeaderEpoch, witness: number): boolean;
  /** Largest index that may be committed now, 0 when none of the own term. */
  commitIndex(view: CommitView): number;
  /** Whether some half with a witness has no majority of its full members for which `present` holds. */
  lacksPeer(members: Members, present: (id: number) => boolean): boolean;
  enterSolo(entry: SoloEntry): boolean;
  enterPair(entry: PairEntry): boolean;
  /**
   * epoch++ for a change of mode or of the configuration. The entry at `firstIndex`, an EpochChange no-op or the
   * configuration entry itself, must carry the new epoch.
   */
  startEpoch(leader: LeaderEpoch, mode: Mode, firstIndex: number): void;
  /** Whether a read is served at once from the applied state, without asking anyone. */
  mayReadLocally(view: LocalReadView): boolean;
  mayTransfer(leader: LeaderEpoch, targetMatch: number, lastIndex: number): boolean;
  /** `heard`: full peers that answered, witnesses that answered a ping, within the election timeout. */
  checkQuorum(members: Members, leader: LeaderEpoch, heard: (id: number) => boolean): boolean;
  /** Whether a member may campaign; `lastConfIndex` is its last configuration entry at or below its commit index. */
  mayCampaign(applied: number, lastConfIndex: number): boolean;
}

/** The largest index that a majority of the half holds. */
function halfIndex(half: Half, acked: (id: number) => number): number {
  if (half.length === 0) return Number.MAX_SAFE_INTEGER;
  let best = 0;
  const needed = (half.length >> 1) + 1;
  for (const id of half) {
    const index = acked(id);
    if (index <= best) continue;
    let holders = 0;
    for (const other of half) if (acked(other) >= index) holders++;
    if (holders >= needed) best = index;
  }
  return best;
}

export const pairSoloRules: PairSoloRules = {
  quorum(halves, has) {
    for (const half of halves) {
      if (half.length === 0) continue;
      let count = 0;
      for (const id of half) if (has(id)) count++;
      if (count < (half.length >> 1) + 1) return false;
    }
    return true;
  },

  elected(members, voted, noopIndex) {
    const mode = this.lacksPeer(members, voted) ? Mode.SOLO : Mode.PAIR;
    return { mode, epoch: 0, epochStart: noopIndex, wAcked: new Map() };
  },

  mayEngage(leader, witness, selfDurable) {
    return leader.mode === Mode.SOLO && selfDurable >= leader.epochStart && !this.isEngaged(leader, witness);
  },

  engageReplyCounts(leader, ownTerm, reply) {
    return reply.ok && reply.term === ownTerm && leader.mode === Mode.SOLO && reply.epoch === leader.epoch;
  },

  engaged(leader, witness) {
    leader.wAcked.set(witness, leader.epoch);
  },

  isEngaged(leader, witness) {
    return leader.mode === Mode.SOLO && leader.wAcked.get(witness) === leader.epoch;
  },

  /**
   * An engaged witness acknowledges exactly the entries of the own epoch, which are all entries from `epochStart` on.
   * So either the index reached with it lies there, or the witness counts for nothing. It acknowledges them only as far
   * as they are durable here: it will vote for the holder of the engagement whatever that one's log, so that peer and
   * witness without the leader's own disk would be no majority, should the leader restart without its unsynced tail.
   */
  commitIndex(view) {
    const { leader, halves, self } = view;
    const full = (id: number): number => (id === self ? view.selfDurable : view.isWitness(id) ? 0 : view.match(id));
    const index = (acked: (id: number) => number): number => {
      let least = Number.MAX_SAFE_INTEGER;
      for (const half of halves) least = Math.min(least, halfIndex(half, acked));
      return least === Number.MAX_SAFE_INTEGER ? 0 : least;
    };

    if (leader.mode === Mode.SOLO && leader.wAcked.size > 0) {
      const reached = index((id) => (view.isWitness(id) && this.isEngaged(leader, id) ? view.selfDurable : full(id)));
      if (reached >= leader.epochStart) return reached;
    }
    const reached = index(full);
    return reached >= view.termStart ? reached : 0;
  },

  lacksPeer(members, present) {
    for (const half of members.halves) {
      if (!half.some((id) => members.isWitness(id))) continue;
      let count = 0;
      for (const id of half) if (!members.isWitness(id) && (id === members.self || present(id))) count++;
      if (count < (half.length >> 1) + 1) return true;
    }
    return false;
  },

  enterSolo({ mode, lacking, waiting, draining }) {
    return mode === Mode.PAIR && lacking && waiting && !draining;
  },

  enterPair({ mode, lacking, dwelt }) {
    return mode === Mode.SOLO && !lacking && dwelt;
  },

  startEpoch(leader, mode, firstIndex) {
    leader.mode = mode;
    leader.epoch++;
    leader.epochStart = firstIndex;
    leader.wAcked.clear();
  },

  mayReadLocally(view) {
    const { leader, self } = view;
    if (leader.mode !== Mode.SOLO || view.transferring || view.commit < view.termStart) return false;
    return this.quorum(view.halves, (id) => id === self || (view.isWitness(id) && this.isEngaged(leader, id)));
  },

  mayTransfer(leader, targetMatch, lastIndex) {
    return leader.mode === Mode.PAIR && targetMatch === lastIndex;
  },

  checkQuorum(members, leader, heard) {
    return this.quorum(
      members.halves,
      (id) => id === members.self || heard(id) || (members.isWitness(id) && this.isEngaged(leader, id)),
    );
  },

  mayCampaign(applied, lastConfIndex) {
    return applied >= lastConfIndex;
  },
};
