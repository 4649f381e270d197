import { must } from "../../base/assert.ts";
import { decodeConfChange } from "../confchange/codec.ts";
import type { RaftConfig } from "../config.ts";
import { describeEntries, describeMessage, describeReady, refusalTexts } from "../describe.ts";
import { MemoryStorage } from "../memory-storage.ts";
import { isLocalTarget, type Message, type MessageType } from "../messages.ts";
import { RawNode } from "../rawnode.ts";
import type { Ready } from "../ready.ts";
import { EMPTY_SNAPSHOT, type Entry, isEmptyHardState, NO_LIMIT, type Snapshot } from "../types.ts";
import { type WitnessRecord, witnessRules } from "../witness.ts";
import { witnessResponse } from "../witness-vote.ts";
import { Output } from "./output.ts";

/** Storage whose snapshot is always that of the last applied entry. */
class HistoryStorage extends MemoryStorage {
  readonly history: Snapshot[];

  constructor(first: Snapshot) {
    super();
    this.history = [first];
  }

  newest(): Snapshot {
    return must(this.history.at(-1), "first snapshot");
  }

  override snapshot(): Snapshot {
    return this.newest();
  }
}

export interface Member {
  readonly node: RawNode;
  readonly storage: HistoryStorage;
  readonly config: RaftConfig;
  /** MsgStorageAppend and MsgStorageApply messages whose work is not done yet, oldest first. */
  readonly appendWork: Message[];
  readonly applyWork: Message[];
}

export interface Recipient {
  readonly id: number;
  readonly drop: boolean;
}

/**
 * A group of nodes whose network, disks and clocks move only when a directive says so, with everything that happens
 * printed. Same rules and texts as etcd-io/raft's InteractionEnv. A method returns a sentence when it refuses.
 */
export class Environment {
  readonly members: Member[] = [];
  readonly output = new Output();
  /** Witnesses by id; they are always up, and durable at once. */
  readonly witnesses = new Map<number, WitnessRecord<number>>();
  /** Messages in flight, in the order they were sent. */
  messages: Message[] = [];

  member(id: number): Member {
    return must(this.members[id - 1], `node ${id}`);
  }

  /** Adds nodes with the next ids that start from `snapshot`. */
  addNodes(count: number, settings: Partial<RaftConfig>, snapshot: Snapshot): string | undefined {
    const bootstrap = snapshot.index !== 0 || snapshot.data.length > 0 || hasMembers(snapshot);
    if (bootstrap && snapshot.index <= 1) return "index must be specified as > 1 due to bootstrap";
    for (let i = 0; i < count; i++) {
      const first = bootstrap ? { ...snapshot, term: 1 } : EMPTY_SNAPSHOT;
      const storage = new HistoryStorage(first);
      if (bootstrap) storage.applySnapshot(first);
      const config: RaftConfig = {
        id: this.members.length + 1,
        electionTick: 3,
        heartbeatTick: 1,
        inflightCountMax: 2 ** 31 - 1,
        storage,
        random: { unit: () => 0 },
        logger: this.output.logger,
        ...settings,
      };
      this.members.push({ node: new RawNode(config), storage, config, appendWork: [], applyWork: [] });
    }
    return undefined;
  }

  processReady(id: number): string | undefined {
    const member = this.member(id);
    const { node, config, appendWork, applyWork } = member;
    const ready = node.ready();
    this.output.write(describeReady(ready));
    if (!config.asyncStorageWrites) {
      const problem = append(member, ready);
      if (problem !== undefined) return problem;
      apply(member, ready.committedEntries);
    }
    for (const m of ready.messages) {
      if (!isLocalTarget(m.to)) this.messages.push(m);
      else if (m.type === "MsgStorageAppend") appendWork.push(m);
      else applyWork.push(m);
    }
    if (!config.asyncStorageWrites) node.advance();
    return undefined;
  }

  processAppendThread(id: number): string | undefined {
    const member = this.member(id);
    const work = member.appendWork.shift();
    if (work === undefined) {
      this.output.write("no append work to perform");
      return undefined;
    }
    const { responses, term, vote, commit } = work;
    this.output.write(`Processing:\n${describeMessage({ ...work, responses: [] })}\n`);
    const problem = append(member, { ...work, hardState: { term, vote, commit } });
    if (problem !== undefined) return problem;
    this.#respond(responses);
    return undefined;
  }

  processApplyThread(id: number): string | undefined {
    const member = this.member(id);
    const work = member.applyWork.shift();
    if (work === undefined) {
      this.output.write("no apply work to perform");
      return undefined;
    }
    this.output.write(`Processing:\n${describeMessage({ ...work, responses: [] })}\n`);
    apply(member, work.entries);
    this.#respond(work.responses);
    return undefined;
  }

  /** Delivers or drops what is in flight to the recipients, all of it or one type; returns how many there were. */
  deliver(type: MessageType | undefined, recipients: readonly Recipient[]): number {
    let count = 0;
    for (const { id, drop } of recipients) {
      const taken = this.inFlightTo(id, type, drop);
      this.messages = this.messages.filter((m) => !taken.includes(m));
      count += taken.length;
      for (const m of taken) {
        this.output.write(`${drop ? "dropped: " : ""}${describeMessage(m)}\n`);
        if (drop) continue;
        const refusal = this.witnesses.has(id) ? this.#stepWitness(m) : this.member(m.to).node.step(m);
        if (refusal !== undefined) this.output.write(`${refusalTexts[refusal]}\n`);
      }
    }
    return count;
  }

  /** Messages in flight to `id`; those that never leave a node cannot be dropped. */
  inFlightTo(id: number, type: MessageType | undefined, drop: boolean): Message[] {
    return this.messages.filter(
      (m) => m.to === id && !(drop && staysLocal(m)) && (type === undefined || m.type === type),
    );
  }

  /** All Ready in order, then all deliveries, then all append threads, then all apply threads, until nothing is left. */
  stabilize(ids: readonly number[]): string | undefined {
    for (let done = false; !done; ) {
      done = true;
      const nodes = ids.filter((id) => !this.witnesses.has(id));
      for (const id of nodes) {
        if (!this.member(id).node.hasReady()) continue;
        done = false;
        this.output.write(`> ${id} handling Ready\n`);
        const problem = this.output.indented(() => this.processReady(id));
        if (problem !== undefined) return problem;
      }
      for (const id of ids) {
        if (this.inFlightTo(id, undefined, false).length === 0) continue;
        done = false;
        this.output.write(`> ${id} receiving messages\n`);
        this.output.indented(() => this.deliver(undefined, [{ id, drop: false }]));
      }
      for (const id of nodes) {
        const { appendWork } = this.member(id);
        if (appendWork.length === 0) continue;
        done = false;
        this.output.write(`> ${id} processing append thread\n`);
        while (appendWork.length > 0) {
          const problem = this.output.indented(() => this.processAppendThread(id));
          if (problem !== undefined) return problem;
        }
      }
      for (const id of nodes) {
        const { applyWork } = this.member(id);
        if (applyWork.length === 0) continue;
        done = false;
        this.output.write(`> ${id} processing apply thread\n`);
        while (applyWork.length > 0) this.output.indented(() => this.processApplyThread(id));
      }
    }
    return undefined;
  }

  printLog(id: number): void {
    const { storage } = this.member(id);
    const [first, last] = [storage.firstIndex(), storage.lastIndex()];
    if (last < first) {
      this.output.write(`log is empty: first index=${first}, last index=${last}`);
      return;
    }
    const entries = storage.entries(first, last + 1, NO_LIMIT);
    if (entries !== "compacted") this.output.write(describeEntries(entries));
  }

  /** A crash: whatever is not in storage is gone, and the state machine replays from its first snapshot. */
  restart(id: number, settings: Partial<RaftConfig>): void {
    const { storage, config: former } = this.member(id);
    storage.history.length = 1;
    const config = { ...former, ...settings };
    this.members[id - 1] = { node: new RawNode(config), storage, config, appendWork: [], applyWork: [] };
  }

  #stepWitness(m: Message): undefined {
    const record = must(this.witnesses.get(m.to), "witness");
    const [next, term, ok] = askWitness(record, m);
    this.witnesses.set(m.to, next);
    this.messages.push(must(witnessResponse(m, term, ok), "witness request"));
    return undefined;
  }

  #respond(responses: readonly Message[]): void {
    this.output.write(`Responses:\n${responses.map((m) => `${describeMessage(m)}\n`).join("")}`);
    this.messages.push(...responses);
  }
}

function hasMembers({ confState }: Snapshot): boolean {
  return confState.voters.length > 0 || confState.learners.length > 0;
}

function staysLocal(m: Message): boolean {
  return m.from === m.to || isLocalTarget(m.from) || isLocalTarget(m.to);
}

function append(
  { storage }: Member,
  { hardState, entries, snapshot }: Pick<Ready, "hardState" | "entries" | "snapshot">,
): string | undefined {
  if (hardState !== undefined && !isEmptyHardState(hardState)) storage.setHardState(hardState);
  if (snapshot === undefined || snapshot.index === 0) {
    storage.append(entries);
    return undefined;
  }
  if (entries.length > 0) return "can't apply snapshot and entries at the same time";
  return storage.applySnapshot(snapshot) === "outdated"
    ? "requested index is older than the existing snapshot"
    : undefined;
}

function askWitness(record: WitnessRecord<number>, m: Message): [WitnessRecord<number>, number, boolean] {
  const { term, from, epoch } = m;
  if (m.type === "MsgWitnessVote") {
    const vote = { term, cand: from, lastTerm: m.logTerm, lastEpoch: epoch, pre: m.pre };
    const { record: next, reply } = witnessRules.onVote(record, vote);
    return [next, reply.term, reply.granted];
  }
  if (m.type === "MsgWitnessEngage") {
    const { record: next, reply } = witnessRules.onEngage(record, { term, leader: from, epoch });
    return [next, reply.term, reply.ok];
  }
  return [record, witnessRules.onPing(record, { term }).term, true];
}

/** The state machine of the transcripts: it appends all data it is given. */
function apply({ node, storage }: Member, entries: readonly Entry[]): void {
  for (const entry of entries) {
    const before = storage.newest();
    let { data } = entry;
    let { confState } = before;
    if (entry.type === "EntryConfChange" || entry.type === "EntryConfChangeV2") {
      const change = must(decodeConfChange(entry.data), "configuration change");
      data = change.context;
      confState = node.applyConfChange(change, entry.index);
    }
    const joined = new Uint8Array([...before.data, ...data]);
    const { index, term, epoch } = entry;
    storage.history.push({ index, term, epoch, confState, data: joined });
  }
}
