/**
 * The witness's core: answers batched requests of many groups from the records alone. A write per request would cost a
 * disk round trip per group after every lost box, when all groups ask at once; so requests are decided in memory as they
 * come, and every answer waits for the one write that covers all decisions made so far. Answers that changed nothing
 * wait as well while a write is due, since they may tell of a decision that is not durable yet.
 */

import type { WitnessReply, WitnessRequest } from "@nexus-federation/proto/raft.ts";
import { unreachable } from "../base/assert.ts";
import { asBuffer } from "../base/bytes.ts";
import { type WitnessRecord, type WitnessRules, witnessRules } from "../raft/witness.ts";
import type { GroupRecord, IncarnationKey } from "./format.ts";
import type { RecordStore } from "./records.ts";

export interface WitnessServerNeeds {
  readonly store: RecordStore;
  /** 16 fresh random bytes, never drawn before. */
  newIncarnation(): Uint8Array;
  /** The disk failed: what is durable is unknown, the process must end. */
  onFatal(error: unknown): void;
  readonly rules?: WitnessRules;
}

export interface WitnessServerSettings {
  /** Batches whose answers wait for the disk; more are answered `full`. */
  readonly waitingBatchesMax: number;
  /**
   * Records of one (log, generation). A join whose answer was lost leaves one behind, which a later join that finds no
   * room gives up: unused, and named by no configuration.
   */
  readonly recordsPerGroupMax: number;
}

export const defaultSettings: WitnessServerSettings = { waitingBatchesMax: 4096, recordsPerGroupMax: 64 };

export interface WitnessCounters {
  requests: number;
  refused: number;
  granted: number;
  engaged: number;
  joined: number;
  writes: number;
  overloaded: number;
}

type Answer = (replies: WitnessReply[]) => void;

const noBytes = Buffer.alloc(0);

export class WitnessServer {
  readonly counters: WitnessCounters = {
    requests: 0,
    refused: 0,
    granted: 0,
    engaged: 0,
    joined: 0,
    writes: 0,
    overloaded: 0,
  };
  readonly #needs: WitnessServerNeeds;
  readonly #settings: WitnessServerSettings;
  readonly #rules: WitnessRules;
  /** Answers for which the next write must be durable. */
  #waiting: { answer: Answer; replies: WitnessReply[] }[] = [];
  #writing = 0;
  #running = false;
  #failed = false;

  constructor(needs: WitnessServerNeeds, settings: WitnessServerSettings = defaultSettings) {
    this.#needs = needs;
    this.#settings = settings;
    this.#rules = needs.rules ?? witnessRules;
  }

  get records(): number {
    return this.#needs.store.size;
  }

  /**
   * `caller` is the incarnation that the transport proved; it may vote and engage only for itself. `answer` is called
   * once, when everything the replies tell of is durable; never after the disk failed.
   */
  handle(caller: Uint8Array, requests: readonly WitnessRequest[], answer: Answer): void {
    if (this.#failed) return;
    if (this.#waiting.length + this.#writing >= this.#settings.waitingBatchesMax) {
      this.counters.overloaded++;
      answer(requests.map((request) => refusal(request, "full")));
      return;
    }
    const from = keyOf(caller);
    const replies = requests.map((request) => this.#decide(from, request));
    if (!this.#needs.store.dirty && !this.#running) {
      answer(replies);
      return;
    }
    this.#waiting.push({ answer, replies });
    if (!this.#running) void this.#write();
  }

  #decide(from: IncarnationKey, request: WitnessRequest): WitnessReply {
    this.counters.requests++;
    const { op } = request;
    if (op === undefined) return this.#refuse(request, "unknown-record");
    if (op.$case === "join") return this.#join(request, op.value.named);
    const incarnation = keyOf(request.incarnation);
    const group = this.#needs.store.get(incarnation);
    const named = group !== undefined && group.log === request.log && group.generation === request.generation;
    const record = this.#rules.recordFor(named ? group.record : undefined, incarnation);
    if (group === undefined || record === undefined) {
      const others = this.#needs.store.recordsOf(request.log, request.generation) > 0;
      return this.#refuse(request, others ? "wrong-incarnation" : "unknown-record");
    }
    switch (op.$case) {
      case "forget":
        this.#needs.store.remove(incarnation);
        return reply(request, { ok: true, term: record.term });
      case "ping":
        return reply(request, { ok: true, term: this.#rules.onPing(record, op.value).term });
      case "vote": {
        const { term, lastTerm, lastEpoch, pre } = op.value;
        const cand = keyOf(op.value.candidate);
        if (cand !== from) return this.#refuse(request, "wrong-incarnation");
        const outcome = this.#rules.onVote(record, { term, cand, lastTerm, lastEpoch, pre });
        this.#keep(group, outcome);
        if (outcome.reply.granted && !pre) this.counters.granted++;
        return reply(request, { ok: outcome.reply.granted, term: outcome.reply.term });
      }
      case "engage": {
        const { term, epoch } = op.value;
        const leader = keyOf(op.value.leader);
        if (leader !== from) return this.#refuse(request, "wrong-incarnation");
        const outcome = this.#rules.onEngage(record, { term, leader, epoch });
        this.#keep(group, outcome);
        if (outcome.reply.ok) this.counters.engaged++;
        return reply(request, { ok: outcome.reply.ok, term: outcome.reply.term, epoch: outcome.reply.epoch });
      }
      default:
        return unreachable(op, "witness request");
    }
  }

  #join(request: WitnessRequest, named: readonly Uint8Array[]): WitnessReply {
    const { store } = this.#needs;
    const { log, generation } = request;
    if (this.#isFull(log, generation)) store.dropUnused(log, generation, new Set(named.map(keyOf)));
    if (this.#isFull(log, generation)) return this.#refuse(request, "full");
    const incarnation = Buffer.from(this.#needs.newIncarnation());
    store.put({ log, generation, record: this.#rules.join(keyOf(incarnation)) });
    this.counters.joined++;
    return reply(request, { ok: true, term: 0, incarnation });
  }

  #isFull(log: number, generation: number): boolean {
    const { store } = this.#needs;
    if (store.size >= store.settings.recordsMax) return true;
    return store.recordsOf(log, generation) >= this.#settings.recordsPerGroupMax;
  }

  #keep(group: GroupRecord, outcome: { record: WitnessRecord<IncarnationKey>; changed: boolean }): void {
    if (outcome.changed) this.#needs.store.put({ ...group, record: outcome.record });
  }

  #refuse(request: WitnessRequest, error: string): WitnessReply {
    this.counters.refused++;
    return refusal(request, error);
  }

  /** Writes until nothing is due; each round's answers leave when its write is durable. */
  async #write(): Promise<void> {
    this.#running = true;
    try {
      while (this.#waiting.length > 0) {
        const served = this.#waiting;
        this.#waiting = [];
        this.#writing = served.length;
        if (this.#needs.store.dirty) {
          this.counters.writes++;
          await this.#needs.store.flush();
        }
        this.#writing = 0;
        for (const { answer, replies } of served) answer(replies);
      }
      this.#running = false;
    } catch (error) {
      this.#failed = true;
      this.#needs.onFatal(error);
    }
  }
}

function keyOf(incarnation: Uint8Array): IncarnationKey {
  return asBuffer(incarnation).toString("latin1");
}

function refusal(request: WitnessRequest, error: string): WitnessReply {
  return { sequence: request.sequence, term: 0, ok: false, epoch: 0, incarnation: noBytes, error };
}

function reply(
  request: WitnessRequest,
  said: { ok: boolean; term: number; epoch?: number; incarnation?: Buffer },
): WitnessReply {
  const { ok, term, epoch = 0, incarnation = noBytes } = said;
  return { sequence: request.sequence, term, ok, epoch, incarnation, error: "" };
}
