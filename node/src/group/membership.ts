import { ConfigChangeData, type MembershipTarget } from "@nexus-federation/proto/raft.ts";
import { equalBytes } from "../base/bytes.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { Mode } from "../raft/pairsolo.ts";
import type { MembershipCall } from "./api.ts";
import { isJoint } from "./config.ts";
import type { HostCore } from "./core.ts";
import { encodeTarget } from "./entry.ts";
import { type MembershipState, nextStep, targetRefusal } from "./membership-plan.ts";
import { notApplied, unknownOutcome } from "./pending.ts";
import type { Replica } from "./replica.ts";
import type { WitnessClient } from "./witness-client.ts";

interface Waiting {
  replica: Replica;
  call: MembershipCall;
  deadlineMs: number;
  resolve: (refusal: Refusal | undefined) => void;
}

/** How long a declaration may take to be committed, ms. */
const acceptMs = 5_000;

/**
 * Brings the members of the logs led here to what was declared. The declaration itself is a log entry, so that whoever
 * leads next goes on with it; this driver only looks, from time to time, and takes the next step (membership-plan.ts).
 */
export class MembershipDriver {
  readonly #core: HostCore;
  readonly #witnesses: WitnessClient;
  readonly #nextMs = new Map<Replica, number>();
  #waiting: Waiting[] = [];
  /**
   * Incarnations drawn at witnesses, by log and box.
   * Invariant: none of an earlier term of this leader, and none that a configuration named: the witness may have
   * forgotten those, and a witness that is declared under one would never answer.
   */
  readonly #drawn = new Map<number, { term: number; boxes: Map<string, Uint8Array> }>();
  readonly #joining = new Set<string>();

  constructor(core: HostCore, witnesses: WitnessClient) {
    this.#core = core;
    this.#witnesses = witnesses;
  }

  /** Answers when the declaration stands in the log, not when it is reached. */
  propose(replica: Replica, call: MembershipCall): Promise<Refusal | undefined> {
    const refusal = this.#refusal(replica, call);
    if (refusal === "same") return Promise.resolve(undefined);
    if (refusal !== undefined) return Promise.resolve(refusal);
    const { revision, hash, members } = call;
    const refused = replica.node.propose([encodeTarget({ revision, hash, members, failure: "" })]);
    if (refused !== undefined) return Promise.resolve(notApplied(replica.leaderBox));
    this.#core.turns.mark(replica);
    const deadlineMs = this.#core.needs.clock.now() + acceptMs;
    return new Promise((resolve) => this.#waiting.push({ replica, call, deadlineMs, resolve }));
  }

  /** Why the declaration is not taken; "same" when it was taken before. */
  #refusal(replica: Replica, call: MembershipCall): Refusal | "same" | undefined {
    if (!replica.ready) return notApplied(replica.leaderBox);
    const { config } = replica;
    const { target } = config;
    if (target !== undefined && call.revision === target.revision && call.hash === target.hash) return "same";
    const fail = (text: string) => refuse("PRECONDITION_FAILED", text);
    if (call.expectedConfigIndex !== undefined && call.expectedConfigIndex !== config.configIndex) {
      return fail(`The configuration is that of index ${config.configIndex}, not ${call.expectedConfigIndex}.`);
    }
    if (target !== undefined && call.revision < target.revision) {
      return fail(`Revision ${call.revision} is older than ${target.revision}, which was accepted.`);
    }
    if (target !== undefined && call.revision === target.revision) {
      return fail(`Revision ${call.revision} was accepted with another content; raise the revision.`);
    }
    const { raft } = replica.node;
    if (isJoint(config) || raft.pendingConfIndex > raft.log.applied) {
      return fail("A membership change is under way; wait until it is done.");
    }
    if (this.#waiting.some((one) => one.replica === replica)) {
      return fail("Another declaration is being written; wait until it is accepted.");
    }
    const text = targetRefusal(config, call.members);
    return text === undefined ? undefined : refuse("INVALID", text);
  }

  /** The configuration or target of a replica changed. */
  changed(replica: Replica): void {
    this.#nextMs.delete(replica);
    const { log, generation } = replica;
    for (const witness of replica.isLeader ? replica.formerWitnesses : []) {
      void this.#witnesses.forget(witness, { log, generation });
    }
    replica.formerWitnesses = [];
    const members = new Set(replica.config.members.map((member) => member.replica));
    for (const id of replica.lost) if (!members.has(id)) replica.lost.delete(id);
    const drawn = this.#drawn.get(log)?.boxes;
    for (const { box, incarnation } of replica.config.members) {
      const named = drawn?.get(box);
      if (named !== undefined && equalBytes(named, incarnation)) drawn?.delete(box);
    }
    const { target } = replica.config;
    this.#settle((one) => {
      if (one.replica !== replica || target === undefined) return false;
      return one.call.revision === target.revision && one.call.hash === target.hash;
    }, undefined);
  }

  /** On every tick of a replica. */
  tick(replica: Replica, nowMs: number): void {
    if (this.#waiting.length > 0) this.#settle((one) => one.deadlineMs <= nowMs, unknownOutcome());
    if (!replica.ready || nowMs < (this.#nextMs.get(replica) ?? 0)) return;
    this.#nextMs.set(replica, nowMs + this.#core.settings.membershipMs);
    if (replica.config.target !== undefined || replica.lost.size > 0) this.#step(replica, replica.config.target);
  }

  forget(replica: Replica): void {
    this.#nextMs.delete(replica);
    this.#drawn.delete(replica.log);
    this.#settle((one) => one.replica === replica, unknownOutcome());
  }

  /** True when the members are what was declared; only a leader knows. */
  isReached(replica: Replica): boolean {
    return nextStep(this.#stateOf(replica), replica.config.target).kind === "done";
  }

  waitsFor(replica: Replica): string {
    const { target } = replica.config;
    if (target === undefined) return "";
    if (target.failure !== "") return target.failure;
    const step = nextStep(this.#stateOf(replica), target);
    return step.kind === "wait"
      ? step.reason
      : step.kind === "join-witness"
        ? `witness ${step.box} has not joined`
        : "";
  }

  #step(replica: Replica, target: MembershipTarget | undefined): void {
    const step = nextStep(this.#stateOf(replica), target);
    const { node } = replica;
    switch (step.kind) {
      case "done":
      case "wait":
        return;
      case "join-witness":
        this.#join(replica, step.box);
        return;
      case "transfer":
        node.transferLeader(step.to);
        this.#core.turns.mark(replica);
        return;
      case "change": {
        const { members, nextReplica, changes } = step;
        const context = ConfigChangeData.encode({ transition: 0, steps: [], members, nextReplica }).finish();
        node.proposeConfChange({ transition: "ConfChangeTransitionAuto", changes, context });
        this.#core.turns.mark(replica);
        return;
      }
    }
  }

  #stateOf(replica: Replica): MembershipState {
    const { raft } = replica.node;
    return {
      config: replica.config,
      leader: replica.id,
      mode: raft.regime?.leader.mode ?? Mode.PAIR,
      changing: raft.pendingConfIndex > raft.log.applied,
      lost: replica.lost,
      drawn: this.#drawnOf(replica),
      caughtUp: (id) => {
        const progress = raft.tracker.progress.get(id);
        if (id === replica.id) return true;
        if (progress?.state !== "StateReplicate") return false;
        return progress.match + this.#core.settings.caughtUpEntries >= raft.log.committed;
      },
    };
  }

  #drawnOf({ log, node }: Replica): Map<string, Uint8Array> {
    const { term } = node.raft;
    const drawn = this.#drawn.get(log);
    if (drawn?.term === term) return drawn.boxes;
    const boxes = new Map<string, Uint8Array>();
    this.#drawn.set(log, { term, boxes });
    return boxes;
  }

  #join(replica: Replica, box: string): void {
    const { log, generation } = replica;
    const { term } = replica.node.raft;
    const key = `${log}/${box}`;
    if (this.#joining.has(key)) return;
    this.#joining.add(key);
    this.#witnesses.join(box, { log, generation, members: replica.config.members }).then((answer) => {
      this.#joining.delete(key);
      if ("code" in answer || this.#core.replicas.get(log) !== replica || replica.node.raft.term !== term) return;
      this.#drawnOf(replica).set(box, answer);
    });
  }

  #settle(leaves: (one: Waiting) => boolean, refusal: Refusal | undefined): void {
    const leaving = this.#waiting.filter(leaves);
    if (leaving.length === 0) return;
    this.#waiting = this.#waiting.filter((one) => !leaving.includes(one));
    for (const { resolve } of leaving) resolve(refusal);
  }
}
