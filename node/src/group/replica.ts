import { GroupConfig } from "@nexus-federation/proto/raft.ts";
import type { LogMember } from "@nexus-federation/proto/records.ts";
import { assert, must } from "../base/assert.ts";
import { equalBytes } from "../base/bytes.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import type { LogWrite } from "../log/records.ts";
import type { Effect } from "../machine/api.ts";
import { decodeConfChange } from "../raft/confchange/codec.ts";
import type { Message } from "../raft/messages.ts";
import type { RawNode } from "../raft/rawnode.ts";
import {
  type Entry,
  type HardState,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  NONE,
  type SoftState,
} from "../raft/types.ts";
import type { Outcome } from "./api.ts";
import { changedConfig, memberOf } from "./config.ts";
import { Holders } from "./copies.ts";
import { commandBytes, decodeCommand, decodeTarget, EntryKind } from "./entry.ts";
import { LockTimers } from "./locks.ts";
import { appliedOutcome, notApplied, PendingTable, type PendingTotal } from "./pending.ts";
import type { ReplicaState, StatePosition, StateRestore } from "./ports.ts";
import { ProposalQueue } from "./proposals.ts";
import { ReadQueue } from "./reads.ts";
import type { ReplicaStorage } from "./replica-storage.ts";
import type { HostSettings, Timing } from "./settings.ts";
import { Waiters } from "./waiters.ts";

export interface ReplicaInit {
  log: number;
  generation: number;
  /** Own replica id. */
  id: number;
  config: GroupConfig;
  timing: Timing;
  node: RawNode;
  storage: ReplicaStorage;
  state: ReplicaState;
  hardState: HardState;
  settings: HostSettings;
  /** Shared by all replicas of the host. */
  pendingTotal: PendingTotal;
  /** First number of read rounds, drawn at random. */
  readSeed: number;
}

/** Where a replica puts what a turn yields. */
export interface TurnOutput {
  /** Work for the log; `write` is undefined when only the order of its responses matters. */
  append(replica: Replica, work: Message, write: LogWrite | undefined): void;
  send(replica: Replica, message: Message): void;
  /** Tells a proposer; the state is visible, the store may follow later. */
  answer(done: (outcome: Outcome) => void, outcome: Outcome): void;
  leadership(replica: Replica): void;
  applied(replica: Replica, events: number): void;
  effect(replica: Replica, effect: Effect): void;
  membership(replica: Replica): void;
}

/** A snapshot received, durable beside the live state, on its way through the core. */
export interface PreparedSnapshot {
  position: StatePosition;
  restore: StateRestore;
}

/**
 * One log's replica on this box: the core, its state, and who waits for them. The host drives it: `step`, then `flush`,
 * then `collect`, then `applySome`, each at most once a turn; `appended` when a write is durable.
 */
export class Replica {
  readonly log: number;
  readonly generation: number;
  readonly id: number;
  readonly node: RawNode;
  readonly storage: ReplicaStorage;
  readonly state: ReplicaState;
  readonly settings: HostSettings;
  config: GroupConfig;
  timing: Timing;
  readonly proposals = new ProposalQueue();
  readonly pending: PendingTable;
  readonly #pendingTotal: PendingTotal;
  readonly reads: ReadQueue;
  readonly appliedWaiters: Waiters<number>;
  readonly durableWaiters: Waiters<{ index: number; copies: number | "all" }>;
  readonly locks = new LockTimers();
  /** Data were lost: takes part in nothing until replaced by a new replica id. */
  mute = false;
  /** Stopped ticking, since the group is idle. */
  quiet = false;
  /** Boxes whose signs of life this replica relies on while quiet. */
  quietBoxes: string[] = [];
  /** Ticks for which nothing happened, and the last entry since then. */
  idle = { ticks: 0, index: 0 };
  /** Ticks held back from an election because the event loop was late. */
  patientTicks = 0;
  /** Writes handed to the log and not yet durable. */
  inFlight = 0;
  /** Members that asked to be replaced by a new replica id, since they lost data. */
  readonly lost = new Set<number>();
  /** Witnesses that left the configuration and were not yet told. */
  formerWitnesses: LogMember[] = [];
  /** A received snapshot becomes the live state; nothing else moves meanwhile. */
  installing = false;
  prepared: PreparedSnapshot | undefined;
  /** Replica ids outside the configuration that spoke to us, and where they are to be answered. */
  readonly strangers = new Map<number, { box: string; incarnation: Uint8Array }>();
  /** Highest log time stamped or applied. */
  logTimeMs: number;
  /** Term of the last entry applied; a leader is ready when it is its own. */
  appliedTerm = 0;
  soft: SoftState = { lead: NONE, state: "StateFollower" };
  #configBytes: Uint8Array;
  /** The newest hard state handed out for writing. */
  #hardState: HardState;
  /** Term and vote as last written, or on their way to it. */
  #written: HardState;
  #applies: Message[] = [];
  /** Entries of the first of #applies that are applied already, and the events that they made. */
  #applyAt = 0;
  #applyEvents = 0;
  #answered: [(outcome: Outcome) => void, Outcome][] = [];

  constructor(init: ReplicaInit) {
    this.log = init.log;
    this.generation = init.generation;
    this.id = init.id;
    this.config = init.config;
    this.timing = init.timing;
    this.node = init.node;
    this.storage = init.storage;
    this.state = init.state;
    this.settings = init.settings;
    this.#pendingTotal = init.pendingTotal;
    this.pending = new PendingTable(init.pendingTotal);
    this.#hardState = init.hardState;
    this.#written = init.hardState;
    this.#configBytes = GroupConfig.encode(init.config).finish();
    this.appliedTerm = init.state.position?.term ?? 0;
    this.logTimeMs = init.state.logTimeMs;
    this.reads = new ReadQueue(init.settings.waitersMax, init.readSeed);
    this.appliedWaiters = new Waiters(init.settings.waitersMax);
    this.durableWaiters = new Waiters(init.settings.waitersMax);
  }

  get isLeader(): boolean {
    return this.node.raft.state === "StateLeader";
  }
  get applied(): number {
    return this.node.raft.log.applied;
  }
  /** Box that leads, empty when unknown. */
  get leaderBox(): string {
    const lead = this.node.raft.lead;
    return lead === NONE ? "" : (memberOf(this.config, lead)?.box ?? this.strangers.get(lead)?.box ?? "");
  }
  /** Leads, and has applied everything that earlier leaders committed. */
  get ready(): boolean {
    return this.isLeader && this.appliedTerm === this.node.raft.term;
  }
  get configBytes(): Uint8Array {
    return this.#configBytes;
  }

  setConfig(config: GroupConfig): void {
    this.config = config;
    this.#configBytes = GroupConfig.encode(config).finish();
  }

  /** Proposals and reads of this turn go to the core. */
  flush(nowMs: number, wallMs: number): void {
    if (this.proposals.count > 0) this.#flushProposals(nowMs, wallMs);
    if (this.reads.count === 0) return;
    // Nobody answers one that was removed: it reads elsewhere.
    if (memberOf(this.config, this.id) === undefined) this.reads.abandon(notApplied(this.leaderBox));
    else this.reads.flush(nowMs, (context) => this.node.readIndex(context));
  }

  #flushProposals(nowMs: number, wallMs: number): void {
    if (!this.isLeader) return this.proposals.refuseAll(() => notApplied(this.leaderBox));
    if (!this.ready) return;
    const { raft } = this.node;
    const context = {
      nowMs,
      wallMs,
      logTimeMs: Math.max(this.logTimeMs, this.state.logTimeMs),
      term: raft.term,
      lastIndex: raft.log.lastIndex(),
      entryBytesMax: this.settings.entryBytesMax,
      bytesLeft: this.settings.pendingBytesMax - this.#pendingTotal.bytes,
      leaderBox: raft.leadTransferee === NONE ? "" : (memberOf(this.config, raft.leadTransferee)?.box ?? ""),
    };
    const { pending, logTimeMs } = this.proposals.flush(context, (datas) => this.node.propose(datas));
    this.logTimeMs = Math.max(this.logTimeMs, logTimeMs);
    for (const proposal of pending) this.pending.add(proposal);
  }

  /** Takes what the core wants done. */
  collect(out: TurnOutput): void {
    if (this.durableWaiters.count > 0) this.durableWaiters.settle((wanted) => this.isLeader && this.isDurable(wanted));
    if (this.installing || !this.node.hasReady()) return;
    const ready = this.node.ready();
    if (ready.softState !== undefined) this.#softChanged(ready.softState, out);
    for (const { context, index } of ready.readStates) this.reads.confirm(context, index);
    if (ready.readStates.length > 0) this.reads.applied(this.applied);
    for (const message of ready.messages) {
      if (message.to === LOCAL_APPEND_THREAD) out.append(this, message, this.#writeOf(message));
      else if (message.to === LOCAL_APPLY_THREAD) this.#applies.push(message);
      else out.send(this, message);
    }
  }

  /**
   * The write that an append asks for. A commit index alone is not worth a durable write: it goes with the next one, and
   * losing it is like never having received it.
   */
  #writeOf(work: Message): LogWrite | undefined {
    if (work.term !== 0) this.#hardState = { term: work.term, vote: work.vote, commit: work.commit };
    const { entries, snapshot } = work;
    const voted = this.#hardState.term !== this.#written.term || this.#hardState.vote !== this.#written.vote;
    if (entries.length === 0 && snapshot === undefined && !voted) return undefined;
    this.#written = this.#hardState;
    const write: LogWrite = { group: this.log, generation: this.generation, hardState: this.#hardState };
    if (entries.length > 0) write.entries = entries;
    if (snapshot !== undefined) {
      const { position } = must(this.prepared, "the state that belongs to a restored snapshot");
      assert(position.index === snapshot.index && position.term === snapshot.term, "the snapshot is the one received");
      const { index, term, epoch } = snapshot;
      write.reset = true;
      write.snapshotMeta = { index, term, epoch, conf: position.config };
    }
    return write;
  }

  #softChanged(soft: SoftState, out: TurnOutput): void {
    this.soft = soft;
    if (soft.state !== "StateLeader") {
      this.locks.stop();
      this.proposals.refuseAll(() => notApplied(this.leaderBox));
    }
    out.leadership(this);
  }

  /** An append is durable: the core's storage has it, and what waited for it goes out. */
  appended(work: Message, out: TurnOutput): void {
    if (work.snapshot !== undefined) this.#installed(work, out);
    this.storage.append(work.entries);
    if (work.term !== 0) this.storage.setHardState({ term: work.term, vote: work.vote, commit: work.commit });
    for (const response of work.responses) {
      if (response.to === this.id) this.node.step(response);
      else out.send(this, response);
    }
    // Only now does the core count the snapshot as applied; before, who waited for it would be told of an older index.
    if (work.snapshot !== undefined) out.applied(this, 1);
    this.appliedWaiters.settle((index) => index <= this.applied);
  }

  #installed(work: Message, out: TurnOutput): void {
    const { position } = must(this.prepared, "the snapshot that was installed");
    this.prepared = undefined;
    this.storage.replace(must(work.snapshot, "snapshot"));
    this.setConfig(GroupConfig.decode(position.config));
    this.appliedTerm = position.term;
    this.logTimeMs = Math.max(this.logTimeMs, this.state.logTimeMs);
    this.pending.skippedTo(position.index);
    out.membership(this);
  }

  get hasApplies(): boolean {
    return this.#applies.length > 0;
  }

  /** Entries that wait to be applied. */
  get unapplied(): number {
    let count = -this.#applyAt;
    for (const work of this.#applies) count += work.entries.length;
    return count;
  }

  /** Applies at most so many of the entries that are committed; their answers follow by `answerAll`. */
  applySome(out: TurnOutput, entriesMax: number): void {
    let left = entriesMax;
    for (let work = this.#applies[0]; work !== undefined && left > 0; work = this.#applies[0]) {
      const end = Math.min(work.entries.length, this.#applyAt + left);
      const holders = new Holders(this);
      for (let i = this.#applyAt; i < end; i++) this.#applyEvents += this.#apply(work.entries[i]!, holders, out);
      const { index, term, epoch } = must(work.entries[end - 1], "an apply has entries");
      this.state.setPosition({ index, term, epoch, config: this.#configBytes });
      left -= end - this.#applyAt;
      this.#applyAt = end;
      if (end === work.entries.length) this.#appliedWork(work, out);
    }
    this.reads.applied(this.applied);
    this.appliedWaiters.settle((index) => index <= this.applied);
  }

  #appliedWork(work: Message, out: TurnOutput): void {
    this.#applies.shift();
    this.#applyAt = 0;
    for (const response of work.responses) this.node.step(response);
    const events = this.#applyEvents;
    this.#applyEvents = 0;
    out.applied(this, events);
  }

  #apply(entry: Entry, holders: Holders, out: TurnOutput): number {
    const becameReady = entry.term !== this.appliedTerm && this.isLeader && entry.term === this.node.raft.term;
    this.appliedTerm = entry.term;
    const proposal = this.pending.take(entry.index, entry.term, () => this.leaderBox);
    let events = 0;
    if (entry.type !== "EntryNormal") this.#applyConf(entry, out);
    else if (entry.data[0] === EntryKind.target) {
      this.setConfig({ ...this.config, target: decodeTarget(entry.data) });
      out.membership(this);
    } else if (entry.data.length > 0) {
      const { index, term } = entry;
      const command = proposal?.command ?? decodeCommand(entry.data);
      const applied = this.state.apply({ index, term, data: commandBytes(entry.data) }, command);
      for (const effect of applied.effects) {
        if (effect.kind === "events") events += effect.count;
        out.effect(this, effect);
      }
      if (proposal !== undefined) {
        const { copies, boxes } = holders.of(index);
        const outcome = appliedOutcome(proposal, applied.reply, { generation: this.generation, copies, boxes });
        this.#answered.push([proposal.done, outcome]);
      }
    }
    if (becameReady) out.leadership(this);
    return events;
  }

  #applyConf(entry: Entry, out: TurnOutput): void {
    if (entry.type === "EntryEpochChange") return;
    const change = must(decodeConfChange(entry.data), `the configuration change at ${entry.index}`);
    const state = this.node.applyConfChange(change, entry.index);
    const former = this.config;
    this.setConfig(changedConfig(former, change, { state, index: entry.index }));
    for (const member of former.members) {
      if (member.role === "witness" && memberOf(this.config, member.replica) === undefined) {
        this.formerWitnesses.push(member);
      }
    }
    for (const [replica, { incarnation }] of this.strangers) {
      const member = memberOf(this.config, replica);
      if (member !== undefined && equalBytes(member.incarnation, incarnation)) this.strangers.delete(replica);
    }
    out.membership(this);
  }

  /** True when the copies that a caller demands hold the entry. */
  isDurable({ index, copies }: { index: number; copies: number | "all" }): boolean {
    const holders = new Holders(this);
    if (copies !== "all") return holders.of(index).copies >= copies;
    return holders.allVoters(index);
  }

  /** Refuses whoever waited too long. */
  expire(nowMs: number): void {
    this.pending.expire(nowMs);
    if (this.proposals.count > 0) this.proposals.expire(nowMs);
    this.reads.expire(nowMs, () => this.#late());
    this.appliedWaiters.expire(nowMs, () => this.#late());
    this.durableWaiters.expire(nowMs, ({ copies }) => copiesUnavailable(copies));
  }

  #late(): Refusal {
    if (this.leaderBox === "") return notApplied("");
    return refuse("DEADLINE", "The replica did not get there in time.", { leaderBox: this.leaderBox });
  }

  /** The replica goes away, or the host stops. */
  abandon(refusal: Refusal): void {
    this.proposals.refuseAll(() => refusal);
    this.pending.abandon();
    this.reads.abandon(refusal);
    this.appliedWaiters.abandon(refusal);
    this.durableWaiters.abandon(refusal);
    this.locks.stop();
  }

  /** Tells proposers what became of their commands. */
  answerAll(out: TurnOutput): void {
    const answered = this.#answered;
    if (answered.length === 0) return;
    this.#answered = [];
    for (const [done, outcome] of answered) out.answer(done, outcome);
  }
}

function copiesUnavailable(copies: number | "all"): Refusal {
  const wanted = copies === "all" ? "all full voters" : `${copies} full members`;
  return refuse("COPIES_UNAVAILABLE", `The entry did not become durable on ${wanted} in time.`, { applied: true });
}
