import { InvariantError } from "../base/assert.ts";
import { switchToConfig } from "./conf.ts";
import { restore } from "./confchange/restore.ts";
import type { Settings } from "./config.ts";
import { hex } from "./describe.ts";
import { countVote, hup, stepCandidate, stepVoteRequest } from "./election.ts";
import { stepFollower } from "./follower.ts";
import { stepLeader } from "./leader.ts";
import { RaftLog } from "./log.ts";
import { isWitnessResponse, localMessage, type Message } from "./messages.ts";
import type { Members } from "./pairsolo.ts";
import { appendEntries, appliedSnapshot, appliedTo, emptyEntry } from "./proposals.ts";
import { jointIds } from "./quorum/joint.ts";
import { sortedIds } from "./quorum/majority.ts";
import { ReadOnly } from "./reads.ts";
import {
  electedRegime,
  membersOf,
  type Regime,
  regimeTicksToSpare,
  stepEngageResponse,
  stepPingResponse,
  tickRegime,
} from "./regime.ts";
import { entriesSize, payloadSize } from "./sizes.ts";
import { adoptTerm, ignoredByLease, stepLowerTerm } from "./terms.ts";
import { confStateOf, sameConfState } from "./tracker/config.ts";
import { ProgressTracker } from "./tracker/tracker.ts";
import {
  type HardState,
  isEmptyHardState,
  type Logger,
  NONE,
  type ReadState,
  type Refusal,
  type SoftState,
  type StateType,
} from "./types.ts";
import { adoptWitnessTerm, askWitnessesIfDue, isCurrentVote } from "./witness-vote.ts";

/**
 * The state of one replica and the dispatch of what happens to it. The rules live beside it, one file a message family
 * (election, leader, follower, replication, reads, conf), as functions over this state; they alone change it.
 *
 * Problem: replicas must agree on one log while boxes stop, lose messages and restart. Raft mixed with sockets, timers
 * and disks can neither be tested for every order of events nor be driven by a simulator, so this room is a pure state
 * machine: messages and ticks go in, a `Ready` comes out that says what to write, send and apply, and whoever holds the
 * `RawNode` does so. It has the shape of etcd-io/raft (Apache-2.0, see NOTICE), whose published transcripts it must
 * reproduce byte for byte, and adds the PAIR / SOLO witness of raft-and-witness.md.
 */
export class Raft {
  readonly id: number;
  readonly settings: Settings;
  readonly logger: Logger;
  readonly log: RaftLog;
  readonly tracker: ProgressTracker;

  term = 0;
  /** Replica voted for in `term`, or NONE. */
  vote = NONE;
  state: StateType = "StateFollower";
  /** Leader of `term` as far as known, or NONE. */
  lead = NONE;
  isLearner = false;

  /** Messages to others that may leave at once. */
  messages: Message[] = [];
  /** Messages, some to this node itself, that may leave once everything unstable by now is durable. */
  messagesAfterAppend: Message[] = [];
  readStates: ReadState[] = [];
  readOnly: ReadOnly;
  /** Reads that wait for the leader's first commit in its term. */
  pendingReads: Message[] = [];

  /** Target of a leadership transfer under way, or NONE. */
  leadTransferee = NONE;
  /** The configuration in effect is that of this index; changes at or below it are in it already. */
  configIndex = 0;
  /** No configuration change is proposed before this index is applied. */
  pendingConfIndex = 0;
  /** Leader alone: bytes of data proposed and not yet applied; an estimate that is never too high. */
  uncommittedBytes = 0;

  /** Voters as the PAIR / SOLO rules see them. */
  members: Members;
  /** Leader alone. */
  regime: Regime | undefined;
  /** The box is shutting down: takes no proposals and leaves the witness alone. */
  draining = false;
  /** Ticks since the running campaign began. */
  campaignElapsed = 0;
  /** Full members that the transport knows to be down. */
  readonly peersDown = new Set<number>();

  /** Ticks since the last election or, on a follower, since the leader was last heard. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** Drawn anew with every change of role: from electionTick to twice that, exclusive. */
  randomizedElectionTimeout = 0;

  constructor(settings: Settings) {
    this.settings = settings;
    this.id = settings.id;
    this.logger = settings.logger;
    this.log = new RaftLog(settings.storage, settings.applyingBytesMax, settings.logger);
    this.tracker = new ProgressTracker({ countMax: settings.inflightCountMax, bytesMax: settings.inflightBytesMax });
    this.readOnly = new ReadOnly(settings.readOnlyOption);

    this.members = membersOf(this.tracker.config, this.id);

    const { hardState, confState: stored } = settings.storage.initialState();
    const last = this.log.lastEntryId();
    const restored = restore(stored, last.index, this.tracker.limits);
    if (!restored.ok) throw new InvariantError(`stored configuration cannot be restored: ${restored.reason}`);
    switchToConfig(this, restored);
    if (!sameConfState(stored, confStateOf(this.tracker.config)))
      throw new InvariantError("stored configuration is not canonical");

    if (hardState !== undefined && !isEmptyHardState(hardState)) this.#loadHardState(hardState);
    if (settings.applied > 0) this.log.appliedTo(settings.applied, 0);
    this.configIndex = this.log.applied;
    this.becomeFollower(this.term, NONE);
    const { committed, applied } = this.log;
    this.logger.info?.(
      `newRaft ${hex(this.id)} [peers: [${sortedIds(jointIds(this.tracker.config.voters)).map(hex).join(",")}], ` +
        `term: ${this.term}, commit: ${committed}, applied: ${applied}, ` +
        `lastindex: ${last.index}, lastterm: ${last.term}]`,
    );
  }

  softState(): SoftState {
    return { lead: this.lead, state: this.state };
  }

  hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  /** False while this replica is no voter or a snapshot is not yet in place. */
  promotable(): boolean {
    const own = this.tracker.progress.get(this.id);
    return own !== undefined && !own.isLearner && !own.isWitness && !this.log.hasSnapshot();
  }

  /** Advances the logical clock by one tick. */
  tick(): void {
    if (this.state === "StateLeader") this.#tickLeader();
    else this.#tickElection();
  }

  /** Advances the clock by ticks of which `ticksToSpare` said that they only count. */
  skipTicks(count: number): void {
    this.electionElapsed += count;
    if (this.state !== "StateLeader") {
      this.campaignElapsed += count;
      return;
    }
    this.heartbeatElapsed += count;
    if (this.regime === undefined) return;
    this.regime.modeTicks += count;
    for (const [id, progress] of this.tracker.progress) if (id !== this.id) progress.silentTicks += count;
  }

  /** So many of the next ticks only count: they send nothing and change no role, unless something is stepped first. */
  ticksToSpare(): number {
    const { electionTick, heartbeatTick } = this.settings;
    const election = this.randomizedElectionTimeout - this.electionElapsed - 1;
    if (this.state === "StateFollower") return this.promotable() ? Math.max(0, election) : electionTick;
    if (this.state !== "StateLeader") return 0;
    const beat = Math.min(heartbeatTick - this.heartbeatElapsed, electionTick - this.electionElapsed) - 1;
    return Math.max(0, Math.min(beat, regimeTicksToSpare(this)));
  }

  /** Takes a message; returns why it was refused, if it was. The message must not change afterwards. */
  step(m: Message): Refusal | undefined {
    if (isWitnessResponse(m.type)) {
      if (!adoptWitnessTerm(this, m)) this.#stepWitness(m);
      return undefined;
    }
    if (m.term > this.term) {
      if (ignoredByLease(this, m)) return undefined;
      adoptTerm(this, m);
    } else if (m.term !== 0 && m.term < this.term) {
      stepLowerTerm(this, m);
      return undefined;
    }
    switch (m.type) {
      case "MsgHup":
        hup(this, this.settings.preVote ? "CampaignPreElection" : "CampaignElection");
        return undefined;
      case "MsgStorageAppendResp":
        if (m.index !== 0) this.log.unstable.stableTo({ term: m.logTerm, index: m.index });
        if (m.snapshot !== undefined) appliedSnapshot(this, m.snapshot);
        return undefined;
      case "MsgStorageApplyResp": {
        const last = m.entries.at(-1);
        if (last === undefined) return undefined;
        appliedTo(this, last.index, entriesSize(m.entries));
        this.uncommittedBytes = Math.max(0, this.uncommittedBytes - payloadSize(m.entries));
        return undefined;
      }
      case "MsgVote":
      case "MsgPreVote":
        stepVoteRequest(this, m);
        return undefined;
    }
    switch (this.state) {
      case "StateLeader":
        return stepLeader(this, m);
      case "StateFollower":
        return stepFollower(this, m);
      case "StateCandidate":
      case "StatePreCandidate":
        return stepCandidate(this, m);
    }
  }

  /**
   * Queues a message. Acknowledgements of votes and appends wait until all that is unstable now is durable: nobody may
   * learn of a vote or an entry that a restart could undo. (Rejections wait too; they are rare, and safe that way.)
   */
  send(m: Message): void {
    if (m.from === NONE) m.from = this.id;
    switch (m.type) {
      case "MsgVote":
      case "MsgVoteResp":
      case "MsgPreVote":
      case "MsgPreVoteResp":
      case "MsgWitnessVote":
        if (m.term === 0) throw new InvariantError(`${m.type} is sent without its term`);
        break;
      case "MsgProp":
      case "MsgReadIndex":
        if (m.term !== 0) throw new InvariantError(`${m.type} is sent with term ${m.term}`);
        break;
      default:
        if (m.term !== 0) throw new InvariantError(`${m.type} is sent with term ${m.term}`);
        m.term = this.term;
    }
    if (m.type === "MsgAppResp" || m.type === "MsgVoteResp" || m.type === "MsgPreVoteResp") {
      this.messagesAfterAppend.push(m);
      return;
    }
    if (m.to === this.id) throw new InvariantError(`${m.type} is addressed to its sender`);
    this.messages.push(m);
  }

  becomeFollower(term: number, lead: number): void {
    this.#reset(term);
    this.lead = lead;
    this.state = "StateFollower";
    this.logger.info?.(`${hex(this.id)} became follower at term ${this.term}`);
  }

  becomeCandidate(): void {
    if (this.state === "StateLeader") throw new InvariantError("a leader cannot become a candidate");
    this.#reset(this.term + 1);
    this.vote = this.id;
    this.state = "StateCandidate";
    this.logger.info?.(`${hex(this.id)} became candidate at term ${this.term}`);
  }

  /** Changes neither term nor vote: a pre-candidate only asks. */
  becomePreCandidate(): void {
    if (this.state === "StateLeader") throw new InvariantError("a leader cannot become a pre-candidate");
    this.tracker.resetVotes();
    this.lead = NONE;
    this.state = "StatePreCandidate";
    this.logger.info?.(`${hex(this.id)} became pre-candidate at term ${this.term}`);
  }

  becomeLeader(): void {
    if (this.state === "StateFollower") throw new InvariantError("a follower cannot become a leader");
    const regime = electedRegime(this);
    this.#reset(this.term);
    this.regime = regime;
    this.lead = this.id;
    this.state = "StateLeader";
    const own = this.tracker.progress.get(this.id);
    if (own === undefined) throw new InvariantError("a leader is a member of its configuration");
    own.becomeReplicate();
    own.recentActive = true;
    // There may be a configuration change in the tail: to wait for all of it is simpler than to look.
    this.pendingConfIndex = this.log.lastIndex();
    appendEntries(this, [emptyEntry(this, "EntryNormal")]);
    this.logger.info?.(`${hex(this.id)} became leader at term ${this.term}`);
  }

  #stepWitness(m: Message): void {
    switch (m.type) {
      case "MsgWitnessVoteResp":
        if (isCurrentVote(this, m)) countVote(this, m);
        return;
      case "MsgWitnessEngageResp":
        stepEngageResponse(this, m);
        return;
      case "MsgWitnessPingResp":
        stepPingResponse(this, m);
        return;
    }
  }

  /** Starts over in `term`, with all votes, progress and requests of the former role forgotten. */
  #reset(term: number): void {
    if (this.term !== term) {
      this.term = term;
      this.vote = NONE;
    }
    this.lead = NONE;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.#drawElectionTimeout();
    this.leadTransferee = NONE;
    this.regime = undefined;
    this.tracker.resetVotes();
    this.tracker.resetProgress(this.log.lastIndex(), this.id);
    this.pendingConfIndex = 0;
    this.uncommittedBytes = 0;
    this.readOnly = new ReadOnly(this.settings.readOnlyOption);
    this.pendingReads = [];
  }

  #drawElectionTimeout(): void {
    const { electionTick, random } = this.settings;
    this.randomizedElectionTimeout = electionTick + Math.floor(random.unit() * electionTick);
  }

  #tickElection(): void {
    this.electionElapsed++;
    this.campaignElapsed++;
    askWitnessesIfDue(this);
    if (!this.promotable() || this.electionElapsed < this.randomizedElectionTimeout) return;
    this.electionElapsed = 0;
    this.step(localMessage("MsgHup", this.id));
  }

  #tickLeader(): void {
    this.heartbeatElapsed++;
    this.electionElapsed++;
    tickRegime(this);
    if (this.electionElapsed >= this.settings.electionTick) {
      this.electionElapsed = 0;
      if (this.settings.checkQuorum) this.step(localMessage("MsgCheckQuorum", this.id));
      // A transfer that took an election timeout has failed: the leader carries on.
      if (this.state === "StateLeader") this.leadTransferee = NONE;
    }
    if (this.state !== "StateLeader" || this.heartbeatElapsed < this.settings.heartbeatTick) return;
    this.heartbeatElapsed = 0;
    this.step(localMessage("MsgBeat", this.id));
  }

  /** What is applied or in a snapshot is committed, even if the stored commit index has not kept up. */
  #loadHardState({ term, vote, commit }: HardState): void {
    const committed = Math.max(commit, this.log.committed, this.settings.applied);
    if (committed > this.log.lastIndex()) {
      throw new InvariantError(`commit ${committed} is beyond the log's end ${this.log.lastIndex()}: was it damaged?`);
    }
    this.log.committed = committed;
    this.term = term;
    this.vote = vote;
  }
}
