import { InvariantError } from "../base/assert.ts";
import { applyConfChange } from "./conf.ts";
import { encodeConfChange, LEAVE_JOINT } from "./confchange/codec.ts";
import { type RaftConfig, settingsOf, type TickCount } from "./config.ts";
import { isLocalMessage, isLocalTarget, isResponseMessage, localMessage, type Message } from "./messages.ts";
import { proposeConfChange, proposeHere } from "./proposals.ts";
import { Raft } from "./raft.ts";
import {
  needsAppendResponse,
  type Ready,
  storageAppend,
  storageAppendResponse,
  storageApply,
  storageApplyResponse,
} from "./ready.ts";
import { entriesSize } from "./sizes.ts";
import {
  type ConfChange,
  type ConfState,
  type HardState,
  isEmptyHardState,
  NONE,
  type Refusal,
  type SoftState,
} from "./types.ts";

/**
 * One replica, as its host drives it: `tick` with time, `step` with messages, `propose` with data; then, while
 * `hasReady`, `ready` says what to do. Not reentrant: nothing may be called from within a call.
 */
export class RawNode {
  readonly raft: Raft;
  readonly #async: boolean;
  readonly #quietCommits: boolean;
  readonly #ticks: TickCount;
  /** What #ticks said when the core's own clock stood where it stands. */
  #clockTick: number;
  /** Ticks after #clockTick that only count; -1: to be looked at, something was stepped since. */
  #ticksToSpare = -1;
  #softState: SoftState;
  #hardState: HardState;
  /** Without asynchronous storage writes: what `advance` tells the core. */
  #onAdvance: Message[] = [];

  /** Throws InvariantError with a sentence when the configuration or what storage holds cannot work. */
  constructor(config: RaftConfig) {
    const settings = settingsOf(config);
    if (typeof settings === "string") throw new InvariantError(settings);
    this.raft = new Raft(settings);
    this.#async = settings.asyncStorageWrites;
    this.#quietCommits = settings.quietCommits;
    this.#ticks = settings.ticks;
    this.#clockTick = settings.ticks.value;
    this.#softState = this.raft.softState();
    this.#hardState = this.raft.hardState();
  }

  /**
   * Whether the tick that the host's count stands at has to be told by `tick`. Ticks that were not told count all the
   * same, as soon as they matter.
   */
  get isDue(): boolean {
    const { value } = this.#ticks;
    if (value <= this.#clockTick + this.#ticksToSpare) return false;
    this.#catchUp(value - 1);
    this.#ticksToSpare = this.raft.ticksToSpare();
    return value > this.#clockTick + this.#ticksToSpare;
  }

  /** One tick, which is the one that the host's count stands at. */
  tick(): void {
    this.#catchUp(this.#ticks.value - 1);
    this.raft.tick();
    this.#clockTick = Math.max(this.#clockTick, this.#ticks.value);
    this.#ticksToSpare = -1;
  }

  /** The tick that the host's count stands at does not count. */
  holdTick(): void {
    this.#catchUp(this.#ticks.value - 1);
    this.forgiveTicks();
  }

  /** No tick until now that was not yet told counts: the replica was at rest. */
  forgiveTicks(): void {
    this.#clockTick = this.#ticks.value;
    this.#ticksToSpare = -1;
  }

  /** A leader speaks to its followers now. */
  beat(): void {
    this.#step(localMessage("MsgBeat", this.raft.id));
  }

  #catchUp(until: number): void {
    if (until <= this.#clockTick) return;
    this.raft.skipTicks(until - this.#clockTick);
    this.#clockTick = until;
  }

  /** Something happens to the core: its clock is brought forward first, and what is due is no longer known. */
  #touch(): void {
    this.#catchUp(this.#ticks.value);
    this.#ticksToSpare = -1;
  }

  /** Takes a message from another replica or from the local threads. */
  step(m: Message): Refusal | undefined {
    if (!isLocalTarget(m.from)) {
      if (isLocalMessage(m.type)) return "StepLocalMessage";
      if (isResponseMessage(m.type) && !this.raft.tracker.progress.has(m.from)) return "StepPeerNotFound";
    }
    return this.#step(m);
  }

  /** Appends many entries at once on the leader; a follower passes them on, and cannot tell what becomes of them. */
  propose(datas: readonly Uint8Array[]): Refusal | undefined {
    if (this.raft.state === "StateLeader") {
      this.#touch();
      return proposeHere(this.raft, datas);
    }
    const proposal = localMessage("MsgProp", this.raft.id);
    proposal.entries = datas.map((data) => ({ index: 0, term: 0, epoch: 0, type: "EntryNormal", data }));
    return this.#step(proposal);
  }

  proposeConfChange(change: ConfChange): Refusal | undefined {
    this.#touch();
    return proposeConfChange(this.raft, "EntryConfChangeV2", encodeConfChange(change));
  }

  leaveJoint(): Refusal | undefined {
    return this.proposeConfChange(LEAVE_JOINT);
  }

  /** To be called with every configuration change applied and its index; the result is stored with the applied index. */
  applyConfChange(change: ConfChange, index: number): ConfState {
    this.#touch();
    return applyConfChange(this.raft, change, index);
  }

  campaign(): void {
    this.#step(localMessage("MsgHup", NONE));
  }

  /** Asks the leader to hand over to `target`. */
  transferLeader(target: number): void {
    this.#step(localMessage("MsgTransferLeader", target));
  }

  /** Makes a follower take its leader for dead: it grants PreVotes at once, and does not campaign itself. */
  forgetLeader(): void {
    this.#step(localMessage("MsgForgetLeader", NONE));
  }

  /** Asks for a read index; it comes back as a ReadState with `context`, or never: the caller repeats. */
  readIndex(context: Uint8Array): Refusal | undefined {
    const request = localMessage("MsgReadIndex", NONE);
    request.entries = [{ index: 0, term: 0, epoch: 0, type: "EntryNormal", data: context }];
    return this.#step(request);
  }

  /** The transport could not deliver a message to `id`. */
  reportUnreachable(id: number): void {
    this.#step(localMessage("MsgUnreachable", id));
  }

  /** Every MsgSnap handed out is reported on, or its receiver is not replicated to any more. */
  reportSnapshot(id: number, failed: boolean): void {
    const report = localMessage("MsgSnapStatus", id);
    report.reject = failed;
    this.#step(report);
  }

  /** Hands over before a shutdown: no proposals from now on, and no step from PAIR to SOLO. */
  setDraining(draining: boolean): void {
    this.#touch();
    this.raft.draining = draining;
  }

  /** What the transport knows of a full member; a candidate does not wait for one that is down. */
  setPeerDown(id: number, down: boolean): void {
    this.#touch();
    if (down) this.raft.peersDown.add(id);
    else this.raft.peersDown.delete(id);
  }

  /** Gives up leadership, for instance because the disk has stalled. */
  stepDown(): void {
    this.#touch();
    if (this.raft.state === "StateLeader") this.raft.becomeFollower(this.raft.term, NONE);
  }

  hasReady(): boolean {
    const r = this.raft;
    return (
      r.messages.length > 0 ||
      r.messagesAfterAppend.length > 0 ||
      r.readStates.length > 0 ||
      r.log.unstable.hasNextEntries() ||
      r.log.hasNextCommitted(!this.#async) ||
      r.log.unstable.nextSnapshot() !== undefined ||
      this.#softStateChanged() ||
      (this.#hardStateChanged() && !isEmptyHardState(r.hardState()))
    );
  }

  get hasMessages(): boolean {
    return this.raft.messages.length > 0;
  }

  /** The messages of the next Ready that depend on no write, before it. */
  takeMessages(): Message[] {
    const { messages } = this.raft;
    this.raft.messages = [];
    return messages;
  }

  /** What there is to do, handed out once. Without asynchronous storage writes `advance` must follow. */
  ready(): Ready {
    const r = this.raft;
    const messages = r.messages;
    const entries = r.log.unstable.nextEntries();
    const moved = r.term !== this.#hardState.term || r.vote !== this.#hardState.vote;
    const snapshot = r.log.unstable.nextSnapshot();
    const isWritten = entries.length > 0 || snapshot !== undefined || !this.#quietCommits;
    const isCommitNews = isWritten && r.log.committed !== this.#hardState.commit;
    const hardState = moved || isCommitNews ? r.hardState() : undefined;
    const ready: Ready = {
      softState: this.#softStateChanged() ? r.softState() : undefined,
      hardState,
      readStates: r.readStates,
      entries,
      snapshot,
      committedEntries: r.log.nextCommitted(!this.#async),
      messages,
      mustSync: entries.length > 0 || moved,
    };
    if (this.#async) this.#addStorageMessages(ready, messages);
    else this.#addReleasedMessages(ready, messages);
    this.#accept(ready);
    return ready;
  }

  /** All of the last Ready is done. Only without asynchronous storage writes. */
  advance(): void {
    if (this.#async) throw new InvariantError("advance is not used with asynchronous storage writes");
    const steps = this.#onAdvance;
    this.#onAdvance = [];
    for (const m of steps) this.#step(m);
  }

  #addStorageMessages(ready: Ready, messages: Message[]): void {
    const append = storageAppend(this.raft, ready);
    if (append !== undefined) messages.push(append);
    if (ready.committedEntries.length > 0) messages.push(storageApply(this.raft, ready.committedEntries));
  }

  #addReleasedMessages(ready: Ready, messages: Message[]): void {
    const r = this.raft;
    if (this.#onAdvance.length > 0) throw new InvariantError("ready was called twice without advance");
    for (const m of r.messagesAfterAppend) {
      if (m.to === r.id) this.#onAdvance.push(m);
      else messages.push(m);
    }
    if (needsAppendResponse(r, ready)) this.#onAdvance.push(storageAppendResponse(r, ready));
    if (ready.committedEntries.length > 0) this.#onAdvance.push(storageApplyResponse(r, ready.committedEntries));
  }

  #accept(ready: Ready): void {
    const r = this.raft;
    if (ready.softState !== undefined) this.#softState = ready.softState;
    if (ready.hardState !== undefined) this.#hardState = ready.hardState;
    r.readStates = [];
    r.messages = [];
    r.messagesAfterAppend = [];
    r.log.unstable.acceptInProgress();
    const last = ready.committedEntries.at(-1);
    if (last !== undefined) r.log.acceptApplying(last.index, entriesSize(ready.committedEntries), !this.#async);
  }

  #step(m: Message): Refusal | undefined {
    this.#touch();
    return this.raft.step(m);
  }

  #softStateChanged(): boolean {
    return this.raft.lead !== this.#softState.lead || this.raft.state !== this.#softState.state;
  }

  #hardStateChanged(): boolean {
    const { term, vote, commit } = this.#hardState;
    const { raft } = this;
    if (raft.term !== term || raft.vote !== vote) return true;
    return !this.#quietCommits && raft.log.committed !== commit;
  }
}
