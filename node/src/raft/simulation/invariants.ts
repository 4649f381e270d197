import type { Message } from "../messages.ts";
import { pairSoloRules } from "../pairsolo.ts";
import type { Raft } from "../raft.ts";
import { mayReadLocally } from "../regime.ts";
import { type Entry, NO_LIMIT, type ReadState } from "../types.ts";
import type { WitnessRecord } from "../witness.ts";
import { type Box, START_INDEX, type Watcher } from "./world.ts";

interface Committed {
  readonly text: string;
  /** Term of the replica that was first seen to know of the commit: its leader's. */
  readonly leaderTerm: number;
}

/** A broken promise, with what was seen. */
export class Violation extends Error {}

/** Watches a run for everything that must never be seen (raft-and-witness.md, last part). */
export class Invariants implements Watcher {
  readonly #boxes: () => Iterable<Box>;
  readonly #leaders = new Map<number, number>();
  /** committed[i] is entry START_INDEX + 1 + i. */
  readonly #committed: Committed[] = [];
  /** Highest commit index when a read began, by its context. */
  readonly #reads = new Map<number, number>();
  readonly #known = new Map<number, number>();
  #readCount = 0;
  readsDone = 0;
  localReads = 0;

  constructor(boxes: () => Iterable<Box>) {
    this.#boxes = boxes;
  }

  get commitIndex(): number {
    return START_INDEX + this.#committed.length;
  }

  /** The context of a read that begins now. */
  beginRead(): Uint8Array {
    const id = ++this.#readCount;
    this.#reads.set(id, this.commitIndex);
    return Uint8Array.of(id & 0xff, (id >> 8) & 0xff, (id >> 16) & 0xff);
  }

  stepped(box: Box): void {
    const raft = box.node?.raft;
    if (raft === undefined) return;
    this.#recordCommits(box, raft);
    if (raft.state === "StateLeader") this.#checkLeader(raft);
  }

  applied(box: Box, entry: Entry): void {
    const known = this.#committed[entry.index - START_INDEX - 1];
    if (known?.text !== entryText(entry)) {
      throw new Violation(`${box.id} applied ${entryText(entry)} at ${entry.index}, where ${known?.text} is committed`);
    }
  }

  readDone(box: Box, { index, context }: ReadState): void {
    const [low = 0, middle = 0, high = 0] = context;
    const least = this.#reads.get(low + (middle << 8) + (high << 16)) ?? 0;
    this.readsDone++;
    if (index < least) throw new Violation(`a read on ${box.id} was given ${index}, but ${least} was committed before`);
  }

  witnessAnswered(id: number, before: WitnessRecord<number>, after: WitnessRecord<number>, request: Message): void {
    const fell =
      after.term < before.term ||
      after.engTerm < before.engTerm ||
      (after.engTerm === before.engTerm && after.engEpoch < before.engEpoch);
    const moved = after.engTerm !== before.engTerm || after.engEpoch !== before.engEpoch;
    if (fell) throw new Violation(`witness ${id} went back`);
    if (moved && request.type !== "MsgWitnessEngage") throw new Violation(`${request.type} changed an engagement`);
  }

  #recordCommits(box: Box, raft: Raft): void {
    const from = Math.max(this.#known.get(box.id) ?? START_INDEX, raft.log.firstIndex() - 1);
    const { committed } = raft.log;
    if (committed <= from) return;
    const entries = raft.log.slice(from + 1, committed + 1, NO_LIMIT);
    if (entries === "compacted") return;
    for (const entry of entries) {
      const at = entry.index - START_INDEX - 1;
      const known = this.#committed[at];
      if (known === undefined) this.#committed[at] = { text: entryText(entry), leaderTerm: raft.term };
      else if (known.text !== entryText(entry)) {
        throw new Violation(`${box.id} committed ${entryText(entry)} at ${entry.index}, where ${known.text} was`);
      }
    }
    this.#known.set(box.id, committed);
  }

  #checkLeader(raft: Raft): void {
    const former = this.#leaders.get(raft.term);
    if (former !== undefined && former !== raft.id) {
      throw new Violation(`${former} and ${raft.id} both lead term ${raft.term}`);
    }
    if (former === undefined) {
      this.#leaders.set(raft.term, raft.id);
      this.#checkComplete(raft);
    }
    const newest = this.#committed.at(-1)?.leaderTerm ?? 0;
    if (mayReadLocally(raft)) {
      this.localReads++;
      if (newest > raft.term || raft.log.committed < this.commitIndex) {
        throw new Violation(
          `${raft.id} may read locally at ${raft.log.committed} in term ${raft.term}, ` +
            `but ${this.commitIndex} is committed in term ${newest}`,
        );
      }
    }
    const { regime } = raft;
    if (regime === undefined || regime.leader.wAcked.size === 0) return;
    const engaged = pairSoloRules.quorum(
      raft.members.halves,
      (id) => id === raft.id || (raft.members.isWitness(id) && pairSoloRules.isEngaged(regime.leader, id)),
    );
    if (!engaged) return;
    for (const box of this.#boxes()) {
      const other = box.node?.raft;
      if (other?.state === "StateLeader" && other.term > raft.term) {
        throw new Violation(`${raft.id} is engaged in term ${raft.term}, but ${other.id} leads term ${other.term}`);
      }
    }
  }

  /** A new leader holds every entry that was committed under leaders before it. */
  #checkComplete(raft: Raft): void {
    const { log } = raft;
    let lastEpoch = { term: 0, epoch: 0 };
    this.#committed.forEach(({ text, leaderTerm }, at) => {
      const index = START_INDEX + 1 + at;
      if (index < log.firstIndex() || leaderTerm >= raft.term) return;
      const entries = index <= log.lastIndex() ? log.slice(index, index + 1, NO_LIMIT) : [];
      const [entry] = entries === "compacted" ? [] : entries;
      if (entry === undefined || entryText(entry) !== text) {
        throw new Violation(`${raft.id} leads term ${raft.term} without ${text}, which is committed at ${index}`);
      }
      if (entry.term === lastEpoch.term && entry.epoch < lastEpoch.epoch) {
        throw new Violation(`epochs fall within term ${entry.term} at ${index}`);
      }
      lastEpoch = entry;
    });
  }
}

function entryText({ term, epoch, type, data }: Entry): string {
  return `${term}.${epoch} ${type} ${data.join(",")}`;
}
