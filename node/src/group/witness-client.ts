import {
  WitnessBatch,
  WitnessBatchReply,
  type WitnessReply,
  type WitnessRequest,
} from "@nexus-federation/proto/raft.ts";
import type { LogMember } from "@nexus-federation/proto/records.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { readable } from "../base/readable.ts";
import type { Message } from "../raft/messages.ts";
import { witnessResponse } from "../raft/witness-vote.ts";
import type { Remote } from "../transport/ports.ts";
import { memberOf } from "./config.ts";
import type { HostCore } from "./core.ts";
import type { Replica } from "./replica.ts";

interface Asked {
  box: string;
  kind: string;
  sentMs: number;
  /** Told of the answer; undefined when none came. */
  answered: (reply: WitnessReply | undefined) => void;
}

interface JoiningGroup {
  log: number;
  generation: number;
  members: readonly LogMember[];
}

const noBytes = Buffer.alloc(0);
/** Requests without an answer that are remembered; the oldest is given up beyond that (raft repeats). */
const askedMax = 65_536;
/** An answer that takes longer is of no use any more, ms. */
const answerMs = 5_000;
/** Answers (peer.proto) of a witness that has no record under the incarnation asked for. */
const recordGone: ReadonlySet<string> = new Set(["unknown-record", "wrong-incarnation"]);

/**
 * Asks witnesses for all groups: one batch a witness box and turn. A request names the incarnation of the group's own
 * record there, which the configuration entry fixed when the witness joined.
 */
export class WitnessClient {
  readonly #core: HostCore;
  readonly #deliver: (replica: Replica, message: Message) => void;
  readonly #asked = new Map<number, Asked>();
  #batches = new Map<string, WitnessRequest[]>();
  #sequence: number;
  /** Answers so far by "kind/outcome"; the outcome is ok, denied, refused or unanswered. */
  readonly counts = new Map<string, number>();
  /** Joins that wait for the stream to their witness. */
  #joins: { box: string; deadlineMs: number; go: () => void }[] = [];

  constructor(core: HostCore, deliver: (replica: Replica, message: Message) => void) {
    this.#core = core;
    this.#deliver = deliver;
    this.#sequence = Math.floor(core.needs.random.unit() * 2 ** 40);
  }

  /** The core wants something of a witness. */
  ask(replica: Replica, request: Message): void {
    const member = memberOf(replica.config, request.to);
    const op = this.#operation(request);
    if (member === undefined || op === undefined) return;
    const { log, generation } = replica;
    const incarnation = Buffer.from(member.incarnation);
    this.#push(member.box, { log, generation, incarnation, op }, (reply) => {
      if (reply === undefined) return;
      if (reply.error !== "") {
        // It has another disk than the one that joined, perhaps with a record that another leader drew since: only a new
        // witness can take its place.
        if (recordGone.has(reply.error)) replica.lost.add(request.to);
        return;
      }
      const response = witnessResponse(request, reply.term, reply.ok);
      if (response !== undefined && this.#core.replicas.get(log) === replica) this.#deliver(replica, response);
    });
  }

  /**
   * Draws a fresh record of the group at a witness: its incarnation. Waits, within a limit, for the stream to it.
   * `members`: of the group's configuration, whose records there stay.
   */
  join(box: string, group: JoiningGroup): Promise<Buffer | Refusal> {
    const { network, clock } = this.#core.needs;
    if (network.isUp("witness", box)) return this.#join(box, group);
    const deadlineMs = clock.now() + this.#core.settings.joinWaitMs;
    return new Promise((resolve) => {
      const go = () => resolve(this.#join(box, group));
      this.#joins.push({ box, deadlineMs, go });
      this.#core.turns.schedule();
    });
  }

  #join(box: string, { log, generation, members }: JoiningGroup): Promise<Buffer | Refusal> {
    return new Promise((resolve) => {
      const witnesses = members.filter((member) => member.role === "witness");
      const named = witnesses.map((member) => Buffer.from(member.incarnation));
      const request = { log, generation, incarnation: noBytes, op: { $case: "join", value: { named } } as const };
      this.#push(box, request, (reply) => {
        if (reply === undefined) resolve(refuse("ZONE_UNAVAILABLE", `witness ${box} did not answer`));
        else if (!reply.ok) resolve(refuse("ZONE_UNAVAILABLE", `witness ${box} refused to join: ${reply.error}`));
        else resolve(Buffer.from(reply.incarnation));
      });
      this.#core.turns.schedule();
    });
  }

  /** The group has no more use for the record. True when the witness says that it has it no longer. */
  forget(member: LogMember, { log, generation }: { log: number; generation: number }): Promise<boolean> {
    const incarnation = Buffer.from(member.incarnation);
    const op = { $case: "forget", value: {} } as const;
    return new Promise((resolve) => {
      this.#push(member.box, { log, generation, incarnation, op }, (reply) =>
        resolve(reply !== undefined && (reply.ok || recordGone.has(reply.error))),
      );
      this.#core.turns.schedule();
    });
  }

  /** The group ends: its records would take room at the witnesses for ever. */
  forgetAll(replica: Replica | undefined): void {
    for (const member of replica?.config.members ?? []) {
      if (replica !== undefined && member.role === "witness") void this.forget(member, replica);
    }
  }

  sendAll(): void {
    if (this.#batches.size === 0) return;
    const batches = this.#batches;
    this.#batches = new Map();
    for (const [box, requests] of batches) {
      const sent = this.#core.needs.network.send("witness", box, WitnessBatch.encode({ requests }).finish());
      if (!sent) for (const { sequence } of requests) this.#answer(sequence, undefined);
    }
  }

  frame(from: Remote, bytes: Uint8Array): void {
    // Of bytes that are no batch nothing is heard: what was asked stays without an answer.
    for (const reply of readable(WitnessBatchReply, bytes)?.replies ?? []) {
      if (this.#asked.get(reply.sequence)?.box === from.box) this.#answer(reply.sequence, reply);
    }
  }

  /** The stream to a witness broke: what was asked on it has no answer. */
  down(box: string): void {
    for (const [sequence, asked] of this.#asked) if (asked.box === box) this.#answer(sequence, undefined);
  }

  tick(nowMs: number): void {
    if (this.#joins.length > 0) this.#tryJoins(nowMs);
    for (const [sequence, asked] of this.#asked) {
      if (asked.sentMs + answerMs > nowMs) return;
      this.#answer(sequence, undefined);
    }
  }

  #tryJoins(nowMs: number): void {
    const joins = this.#joins;
    this.#joins = [];
    for (const join of joins) {
      if (this.#core.needs.network.isUp("witness", join.box) || join.deadlineMs <= nowMs) join.go();
      else this.#joins.push(join);
    }
  }

  #push(box: string, request: Omit<WitnessRequest, "sequence">, answered: Asked["answered"]): void {
    const sequence = this.#sequence++;
    if (this.#asked.size >= askedMax) this.#answer(this.#asked.keys().next().value ?? 0, undefined);
    const kind = request.op?.$case ?? "";
    this.#asked.set(sequence, { box, kind, sentMs: this.#core.needs.clock.now(), answered });
    const batch = this.#batches.get(box);
    if (batch === undefined) this.#batches.set(box, [{ ...request, sequence }]);
    else batch.push({ ...request, sequence });
  }

  #answer(sequence: number, reply: WitnessReply | undefined): void {
    const asked = this.#asked.get(sequence);
    if (asked === undefined) return;
    this.#asked.delete(sequence);
    const outcome = reply === undefined ? "unanswered" : reply.error !== "" ? "refused" : reply.ok ? "ok" : "denied";
    const key = `${asked.kind}/${outcome}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    asked.answered(reply);
  }

  #operation(request: Message): WitnessRequest["op"] {
    const self = Buffer.from(this.#core.self.incarnation);
    const { term, epoch } = request;
    switch (request.type) {
      case "MsgWitnessVote": {
        const value = { term, candidate: self, lastTerm: request.logTerm, lastEpoch: epoch, pre: request.pre };
        return { $case: "vote", value };
      }
      case "MsgWitnessEngage":
        return { $case: "engage", value: { term, leader: self, epoch } };
      case "MsgWitnessPing":
        return { $case: "ping", value: { term } };
      default:
        return undefined;
    }
  }
}
