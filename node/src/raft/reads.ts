import { noBytes } from "../base/bytes.ts";
import type { ReadOnlyOption } from "./config.ts";
import { type Message, message } from "./messages.ts";
import { type JointConfig, jointCommitted } from "./quorum/joint.ts";
import type { Raft } from "./raft.ts";
import { enterSoloIfDue, mayReadLocally } from "./regime.ts";
import { broadcastHeartbeat } from "./replication.ts";
import { isSingleton } from "./tracker/config.ts";
import { NONE, type Refusal } from "./types.ts";

interface ReadRequest {
  readonly request: Message;
  /** The leader's commit index when the request came. */
  readonly index: number;
}

/**
 * Reads that wait for a quorum to confirm that their leader still leads. They are counted through, and a heartbeat
 * carries the count of the newest: whoever answers it confirms all reads up to that count at once.
 */
export class ReadOnly {
  readonly option: ReadOnlyOption;
  readonly #acks = new Map<number, number>();
  #waiting: ReadRequest[] = [];
  #confirmed = 0;

  constructor(option: ReadOnlyOption) {
    this.option = option;
  }

  get size(): number {
    return this.#waiting.length;
  }

  add(request: Message, index: number): void {
    this.#waiting.push({ request, index });
  }

  acknowledge(from: number, context: Uint8Array): void {
    if (context.length !== 8) return;
    const view = new DataView(context.buffer, context.byteOffset, 8);
    this.#acks.set(from, Math.max(this.#acks.get(from) ?? 0, Number(view.getBigUint64(0, true))));
  }

  /** Takes out the reads that are confirmed by now, oldest first. */
  takeConfirmed(voters: JointConfig): readonly ReadRequest[] {
    const confirmed = jointCommitted(voters, (id) => this.#acks.get(id));
    if (confirmed <= this.#confirmed) return [];
    const count = confirmed - this.#confirmed;
    const reads = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    this.#confirmed = confirmed;
    return reads;
  }

  /** Takes out all reads, which something stronger than a heartbeat round has confirmed. */
  takeAll(): readonly ReadRequest[] {
    const reads = this.#waiting;
    this.#waiting = [];
    this.#confirmed += reads.length;
    return reads;
  }

  /** Context of the heartbeat whose answers confirm every read that waits; empty when none does. */
  heartbeatContext(): Uint8Array {
    if (this.#waiting.length === 0) return noBytes;
    const context = new Uint8Array(8);
    new DataView(context.buffer).setBigUint64(0, BigInt(this.#confirmed + this.#waiting.length), true);
    return context;
  }
}

/** A read on the leader. Before its first commit in the term it cannot know what is committed, so the read waits. */
export function stepReadIndex(r: Raft, m: Message): Refusal | undefined {
  if (r.readOnly.size + r.pendingReads.length >= r.settings.readsWaitingMax) return "ReadDropped";
  if (isSingleton(r.tracker.config)) answerRead(r, m, r.log.committed);
  else if (!committedInTerm(r)) r.pendingReads.push(m);
  else startRead(r, m);
  return undefined;
}

/** The commit index moved: starts the reads that waited for the first commit of the term. */
export function releasePendingReads(r: Raft): void {
  if (r.pendingReads.length === 0) return;
  if (!committedInTerm(r)) {
    r.logger.error?.("pending MsgReadIndex should be released only after first commit in current term");
    return;
  }
  const reads = r.pendingReads;
  r.pendingReads = [];
  for (const read of reads) startRead(r, read);
}

export function stepReadAck(r: Raft, m: Message): void {
  if (r.readOnly.option !== "ReadOnlySafe" || m.context.length === 0) return;
  r.readOnly.acknowledge(m.from, m.context);
  for (const { request, index } of r.readOnly.takeConfirmed(r.tracker.config.voters)) answerRead(r, request, index);
}

function committedInTerm(r: Raft): boolean {
  return r.log.term(r.log.committed) === r.term;
}

/** The leader was given the right to read locally: answers what waited for a quorum's word. */
export function releaseLocalReads(r: Raft): void {
  if (!mayReadLocally(r)) return;
  for (const { request, index } of r.readOnly.takeAll()) answerRead(r, request, index);
}

function startRead(r: Raft, m: Message): void {
  if (r.readOnly.option === "ReadOnlyLeaseBased" || mayReadLocally(r)) {
    answerRead(r, m, r.log.committed);
    return;
  }
  r.readOnly.add(m, r.log.committed);
  r.readOnly.acknowledge(r.id, r.readOnly.heartbeatContext());
  broadcastHeartbeat(r);
  enterSoloIfDue(r);
}

function answerRead(r: Raft, m: Message, index: number): void {
  if (m.from === NONE || m.from === r.id) {
    r.readStates.push({ index, context: m.entries[0]?.data ?? noBytes });
    return;
  }
  const response = message("MsgReadIndexResp", m.from);
  response.index = index;
  response.entries = m.entries;
  r.send(response);
}
