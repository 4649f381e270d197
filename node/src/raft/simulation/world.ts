import { must } from "../../base/assert.ts";
import { noBytes } from "../../base/bytes.ts";
import type { Random } from "../../base/clock.ts";
import { decodeConfChange } from "../confchange/codec.ts";
import { MemoryStorage } from "../memory-storage.ts";
import { isLocalTarget, type Message } from "../messages.ts";
import { RawNode } from "../rawnode.ts";
import { type ConfState, EMPTY_CONF_STATE, type Entry, isEmptyHardState, type ReadState } from "../types.ts";
import { type WitnessRecord, witnessRules } from "../witness.ts";
import { witnessResponse } from "../witness-vote.ts";

/** Index of the snapshot that every member starts from. */
export const START_INDEX = 1;
const IN_FLIGHT_MAX = 400;

/** A full member. What is in `storage` survives a crash, everything else is lost with it. */
export interface Box {
  readonly id: number;
  readonly storage: MemoryStorage;
  /** Undefined while it is down. */
  node: RawNode | undefined;
  appends: Message[];
  applies: Message[];
  applied: number;
  confState: ConfState;
}

/** What a run is watched through. */
export interface Watcher {
  /** Something happened on `box`. */
  stepped(box: Box): void;
  applied(box: Box, entry: Entry): void;
  readDone(box: Box, state: ReadState): void;
  witnessAnswered(id: number, before: WitnessRecord<number>, after: WitnessRecord<number>, request: Message): void;
}

/** Full members and witnesses whose disks, network and clocks move in whatever order the caller draws. */
export class World {
  readonly boxes = new Map<number, Box>();
  readonly witnesses = new Map<number, WitnessRecord<number>>();
  readonly witnessesDown = new Set<number>();
  /** Pairs of ids, as "low-high", between which nothing travels. */
  readonly cuts = new Set<string>();
  inFlight: Message[] = [];
  readonly #random: Random;
  readonly #soloDwellTicks: number;
  readonly #watcher: Watcher;

  constructor(random: Random, watcher: Watcher) {
    this.#random = random;
    this.#watcher = watcher;
    this.#soloDwellTicks = random.unit() < 0.5 ? 1 : 12;
  }

  addBox(id: number, confState: ConfState): void {
    const storage = new MemoryStorage();
    storage.applySnapshot({ index: START_INDEX, term: 1, epoch: 0, confState, data: noBytes });
    const box: Box = { id, storage, node: undefined, appends: [], applies: [], applied: START_INDEX, confState };
    this.boxes.set(id, box);
    this.start(box);
  }

  addWitness(id: number): void {
    this.witnesses.set(id, witnessRules.join(id));
  }

  start(box: Box): void {
    const applied = box.storage.firstIndex() - 1;
    box.applied = applied;
    box.confState = box.storage.snapshot().confState;
    box.node = new RawNode({
      id: box.id,
      electionTick: 10,
      heartbeatTick: 2,
      soloAfterTicks: 7,
      soloDwellTicks: this.#soloDwellTicks,
      storage: box.storage,
      applied,
      random: this.#random,
      inflightCountMax: 8,
      messageBytesMax: 64,
      asyncStorageWrites: true,
      checkQuorum: true,
      preVote: true,
    });
    this.#watcher.stepped(box);
  }

  crash(box: Box): void {
    box.node = undefined;
    box.appends = [];
    box.applies = [];
  }

  /** Lets `act` happen on a box that is up, and takes what it leads to. */
  act(box: Box, act: (node: RawNode) => void): void {
    if (box.node === undefined) return;
    act(box.node);
    this.#watcher.stepped(box);
    this.#drain(box, box.node);
  }

  append(box: Box): void {
    const work = box.appends.shift();
    if (work === undefined) return;
    const { term, vote, commit, snapshot, entries } = work;
    const hardState = { term, vote, commit };
    if (!isEmptyHardState(hardState)) box.storage.setHardState(hardState);
    if (snapshot !== undefined && box.storage.applySnapshot(snapshot) === undefined) {
      box.applied = snapshot.index;
      box.confState = snapshot.confState;
    }
    box.storage.append(entries);
    this.#respond(box, work);
  }

  apply(box: Box): void {
    const work = box.applies.shift();
    if (work === undefined) return;
    for (const entry of work.entries) {
      if (entry.index <= box.applied) continue;
      if (entry.type === "EntryConfChange" || entry.type === "EntryConfChangeV2") {
        const change = must(decodeConfChange(entry.data), "configuration change");
        box.confState = must(box.node, "running node").applyConfChange(change, entry.index);
      }
      box.applied = entry.index;
      this.#watcher.applied(box, entry);
    }
    this.#respond(box, work);
  }

  /** Turns everything that is applied into a snapshot and drops it from the log. */
  compact(box: Box): void {
    const { applied, storage } = box;
    if (box.node === undefined || applied > storage.lastIndex() || applied < storage.firstIndex()) return;
    storage.createSnapshot(applied, box.confState, noBytes);
    storage.compact(applied);
  }

  /** Hands over message number `at`; a copy stays in flight if it is to come twice. */
  deliver(at: number, twice: boolean): void {
    const m = this.inFlight[at];
    if (m === undefined) return;
    if (!twice) this.inFlight.splice(at, 1);
    if (this.cuts.has(link(m.from, m.to))) return;
    if (this.witnesses.has(m.to)) {
      this.#askWitness(m);
      return;
    }
    const box = this.boxes.get(m.to);
    if (box !== undefined) this.act(box, (node) => node.step({ ...m }));
  }

  #respond(box: Box, work: Message): void {
    for (const response of work.responses) {
      if (response.to === box.id) this.act(box, (node) => node.step(response));
      else this.#send(response);
    }
    if (box.node !== undefined) this.#drain(box, box.node);
  }

  #drain(box: Box, node: RawNode): void {
    while (node.hasReady()) {
      const ready = node.ready();
      for (const state of ready.readStates) this.#watcher.readDone(box, state);
      for (const m of ready.messages) {
        if (!isLocalTarget(m.to)) this.#send(m);
        else if (m.type === "MsgStorageAppend") box.appends.push(m);
        else box.applies.push(m);
      }
    }
  }

  #send(m: Message): void {
    if (m.type === "MsgSnap")
      this.act(must(this.boxes.get(m.from), "sender"), (node) => node.reportSnapshot(m.to, false));
    if (this.inFlight.length < IN_FLIGHT_MAX) this.inFlight.push(m);
  }

  #askWitness(m: Message): void {
    if (this.witnessesDown.has(m.to)) return;
    const before = must(this.witnesses.get(m.to), "witness");
    const { term, from, epoch } = m;
    let [after, replyTerm, ok] = [before, before.term, true];
    if (m.type === "MsgWitnessVote") {
      const vote = { term, cand: from, lastTerm: m.logTerm, lastEpoch: epoch, pre: m.pre };
      const { record, reply } = witnessRules.onVote(before, vote);
      [after, replyTerm, ok] = [record, reply.term, reply.granted];
    } else if (m.type === "MsgWitnessEngage") {
      const { record, reply } = witnessRules.onEngage(before, { term, leader: from, epoch });
      [after, replyTerm, ok] = [record, reply.term, reply.ok];
    }
    this.witnesses.set(m.to, after);
    this.#watcher.witnessAnswered(m.to, before, after, m);
    const response = witnessResponse(m, replyTerm, ok);
    if (response !== undefined) this.#send(response);
  }
}

export function link(left: number, right: number): string {
  return left < right ? `${left}-${right}` : `${right}-${left}`;
}

export function pairConf(): ConfState {
  return { ...EMPTY_CONF_STATE, voters: [1, 2, 10], witnesses: [10] };
}
