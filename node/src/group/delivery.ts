import { equalBytes } from "../base/bytes.ts";
import { BoundedQueue } from "../base/queue.ts";
import { isLocalMessage, isResponseMessage, type Message } from "../raft/messages.ts";
import { NONE } from "../raft/types.ts";
import type { Remote } from "../transport/ports.ts";
import type { ChunkHold } from "./chunk-hold.ts";
import { isWitness, memberOf } from "./config.ts";
import { checkEntry } from "./config-bytes.ts";
import type { HostCore } from "./core.ts";
import type { Replica } from "./replica.ts";
import { readFrame, type WireMessage } from "./wire.ts";
import { WireError, WireReader } from "./wire-bytes.ts";

interface Frame {
  from: Remote;
  bytes: Uint8Array;
}

/** A message ready for the core, from outside the frames: a snapshot that was received, a witness's answer. */
interface Prepared {
  replica: Replica;
  message: Message;
}

export interface DeliveryHooks {
  /** A leader addresses a replica that is not here under this id. Undefined when none may be made. */
  create(wire: WireMessage): Replica | undefined;
  hostMessage(from: Remote, wire: WireMessage): void;
  /** A mute replica was spoken to. */
  askReplacement(from: Remote, replica: Replica): void;
  /** Somebody spoke to a replica id in whose place another stands here. */
  succeeded(from: Remote, replica: Replica, id: number): void;
  /** The replica acknowledged what it does not have any more. */
  lost(replica: Replica, reason: string): void;
  wake(replica: Replica): void;
  quiesce(replica: Replica): void;
}

/** Strangers remembered per log: replicas of configurations that are not applied here yet. */
const strangersMax = 16;
/** Bytes of frames that may wait for a turn; beyond, the newest are dropped. */
const inboxBytesMax = 256 * 1024 * 1024;

/**
 * From frames to the core. A message counts only if it comes from the box and incarnation that its replica id stands
 * for, and is meant for the replica id that lives here: anything else is some former life speaking.
 */
export class Delivery {
  readonly #core: HostCore;
  readonly #hooks: DeliveryHooks;
  readonly #hold: ChunkHold;
  readonly #frames: BoundedQueue<Frame>;
  #prepared: Prepared[] = [];
  #dropped = 0;

  constructor(core: HostCore, hold: ChunkHold, hooks: DeliveryHooks) {
    this.#core = core;
    this.#hold = hold;
    this.#hooks = hooks;
    this.#frames = new BoundedQueue({
      itemsMax: core.settings.inboxCountMax,
      weightMax: inboxBytesMax,
      weigh: (frame) => frame.bytes.length,
    });
  }

  /** From the network's turn. */
  enqueue(from: Remote, bytes: Uint8Array): void {
    if (this.#frames.push({ from, bytes })) this.#core.turns.schedule();
    else this.#dropped++;
  }

  /** Frames that wait for a turn, and those that found no room so far. */
  get inbox(): { count: number; bytes: number; dropped: number } {
    return { count: this.#frames.size, bytes: this.#frames.weight, dropped: this.#dropped };
  }

  /** For the next turn, past the checks, which the caller made. */
  enqueuePrepared(replica: Replica, message: Message): void {
    this.#prepared.push({ replica, message });
    this.#core.turns.schedule();
  }

  deliverAll(): void {
    const prepared = this.#prepared;
    this.#prepared = [];
    for (const { replica, message } of prepared) {
      if (this.#core.replicas.get(replica.log) !== replica) continue;
      // Chunks that an append waited for were looked at a turn ago; until it stands in the log nothing keeps them.
      if (!this.#hold.holds(replica, message, replica.leaderBox)) this.#step(replica, message);
    }
    for (let frame = this.#frames.shift(); frame !== undefined; frame = this.#frames.shift()) {
      const { from, bytes } = frame;
      this.#core.liveness.heard(from.box);
      try {
        readFrame(new WireReader(bytes), (wire) => this.#deliver(from, wire));
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        this.#core.needs.logger?.warning?.(`frame from ${from.box} dropped: ${error.message}`);
      }
    }
  }

  #deliver(from: Remote, wire: WireMessage): void {
    if (wire.host !== undefined) {
      this.#hooks.hostMessage(from, wire);
      return;
    }
    const replica = this.replicaFor(from, wire);
    if (replica === undefined) return;
    const { message: m } = wire;
    // State travels as bulk; a snapshot in a frame has none.
    if (m.type === "MsgSnap" || m.type === "MsgProp") return;
    for (const { type, data } of m.entries) checkEntry(type, data);
    if (isBeyondLog(replica, m)) {
      const last = replica.node.raft.log.lastIndex();
      this.#hooks.lost(replica, `entries up to ${m.commit} were acknowledged, ${last} is the last`);
      this.#hooks.askReplacement(from, replica);
      return;
    }
    if (!this.#leavesQuiet(replica, wire)) this.#hooks.wake(replica);
    if (this.#hold.holds(replica, m, from.box)) return;
    this.#step(replica, m);
    if (wire.quiesce) this.#tryQuiesce(replica, m);
  }

  /** The replica a message is for, when it really comes from whom it names; made when a leader calls for a new one. */
  replicaFor(from: Remote, wire: WireMessage): Replica | undefined {
    const { message: m } = wire;
    if (isLocalMessage(m.type) || m.from === NONE) return undefined;
    let replica = this.#core.replicas.get(wire.log);
    const isNewer =
      replica !== undefined &&
      (wire.generation > replica.generation || (wire.generation === replica.generation && m.to > replica.id));
    if (replica === undefined || isNewer) {
      replica = this.#hooks.create(wire);
    }
    if (replica === undefined || replica.generation !== wire.generation) return undefined;
    if (replica.id !== m.to) {
      if (m.to < replica.id) this.#hooks.succeeded(from, replica, m.to);
      return undefined;
    }
    if (!this.#isGenuine(replica, m, from)) return undefined;
    if (!replica.mute) return replica;
    this.#hooks.askReplacement(from, replica);
    return undefined;
  }

  #isGenuine(replica: Replica, m: Message, from: Remote): boolean {
    const { config, strangers } = replica;
    const member = memberOf(config, m.from) ?? strangers.get(m.from);
    if (member !== undefined) {
      if (member.box !== from.box || !equalBytes(member.incarnation, from.incarnation)) return false;
      return !isWitness(config, m.from);
    }
    if (isResponseMessage(m.type)) return false;
    if (strangers.size >= strangersMax) strangers.clear();
    strangers.set(m.from, { box: from.box, incarnation: Uint8Array.from(from.incarnation) });
    return true;
  }

  /** The leader's last heartbeat before it goes quiet, and answers to it, wake nobody. */
  #leavesQuiet(replica: Replica, { message: m, quiesce }: WireMessage): boolean {
    if (!replica.quiet) return true;
    return m.term === replica.node.raft.term && (quiesce || m.type === "MsgHeartbeatResp");
  }

  #step(replica: Replica, m: Message): void {
    if (replica.mute) return;
    replica.node.step(m);
    this.#core.turns.mark(replica);
  }

  /** A follower that has all of the leader's log, committed, may stop its clock with it. */
  #tryQuiesce(replica: Replica, m: Message): void {
    const { raft } = replica.node;
    const same = raft.term === m.term && raft.lead === m.from && raft.log.lastIndex() === m.index;
    if (same && raft.log.committed === m.index && raft.log.term(m.index) === m.logTerm) this.#hooks.quiesce(replica);
  }

  /** A message could not be delivered to a box: its groups probe instead of streaming. */
  unreachable(box: string): void {
    for (const replica of this.#core.replicas.values()) {
      if (!replica.isLeader) continue;
      for (const member of replica.config.members) {
        if (member.box !== box || member.role === "witness") continue;
        replica.node.reportUnreachable(member.replica);
        this.#core.turns.mark(replica);
      }
    }
  }
}

/**
 * A leader tells of no commit, be it in a heartbeat, beyond what this replica acknowledged to it, in its term, as durable.
 * One that ends before that lost data which looked like a torn write at its start; nobody else can have been meant, since
 * stream, incarnation, generation and replica id are checked. What an earlier leader speaks of may have been overwritten
 * since.
 */
function isBeyondLog({ node: { raft } }: Replica, m: Message): boolean {
  const speaksOfOurs = m.type === "MsgHeartbeat" || m.type === "MsgCommit";
  return speaksOfOurs && m.term >= raft.term && m.commit > raft.log.lastIndex();
}
