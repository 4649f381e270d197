import { type Refusal, refuse } from "../base/errors.ts";
import { isWitness, memberOf } from "./config.ts";
import type { HostCore } from "./core.ts";
import { notApplied } from "./pending.ts";
import type { Replica } from "./replica.ts";

interface Transfer {
  replica: Replica;
  to: number;
  term: number;
  deadlineMs: number;
  resolve: (refusal: Refusal | undefined) => void;
}

/** A transfer that has not happened after this many election timeouts has failed. */
const electionsMax = 4;

/** Handing leadership over: of one log on request, and of all before this box stops. */
export class Drain {
  readonly #core: HostCore;
  #transfers: Transfer[] = [];
  #drained: { deadlineMs: number; resolve: () => void }[] = [];
  active = false;

  constructor(core: HostCore) {
    this.#core = core;
  }

  transfer(replica: Replica, toBox: string | undefined): Promise<Refusal | undefined> {
    if (!replica.isLeader) return Promise.resolve(notApplied(replica.leaderBox));
    if (toBox === this.#core.self.box) return Promise.resolve(undefined);
    const to = targetOf(replica, toBox);
    if (to === undefined) {
      const text = `No other full voter${toBox === undefined ? "" : ` on box ${toBox}`} is close enough to take over.`;
      return Promise.resolve(refuse("PRECONDITION_FAILED", text));
    }
    replica.node.transferLeader(to);
    this.#core.turns.mark(replica);
    const deadlineMs = this.#core.needs.clock.now() + electionsMax * replica.timing.electionMs;
    const { term } = replica.node.raft;
    return new Promise((resolve) => this.#transfers.push({ replica, to, term, deadlineMs, resolve }));
  }

  begin(timeoutMs: number): Promise<void> {
    this.active = true;
    for (const replica of this.#core.replicas.values()) {
      replica.node.setDraining(true);
      if (replica.isLeader && targetOf(replica, undefined) !== undefined) void this.transfer(replica, undefined);
    }
    const deadlineMs = this.#core.needs.clock.now() + timeoutMs;
    return new Promise((resolve) => {
      this.#drained.push({ deadlineMs, resolve });
      this.#core.turns.schedule();
    });
  }

  /** Callers of `begin` that still wait are answered: nothing is handed over any more. */
  end(): void {
    this.active = false;
    for (const replica of this.#core.replicas.values()) replica.node.setDraining(false);
    for (const { resolve } of this.#drained.splice(0)) resolve();
  }

  tick(nowMs: number): void {
    if (this.#transfers.length > 0) this.#settleTransfers(nowMs);
    if (this.#drained.length === 0) return;
    const leads = [...this.#core.replicas.values()].some(
      (replica) => replica.isLeader && targetOf(replica, undefined) !== undefined,
    );
    const over = this.#drained.filter((one) => !leads || one.deadlineMs <= nowMs);
    this.#drained = this.#drained.filter((one) => !over.includes(one));
    for (const { resolve } of over) resolve();
    if (leads) this.#again();
  }

  #again(): void {
    for (const replica of this.#core.replicas.values()) {
      if (!replica.isLeader || replica.node.raft.leadTransferee !== 0) continue;
      if (this.#transfers.every((one) => one.replica !== replica)) void this.transfer(replica, undefined);
    }
  }

  #settleTransfers(nowMs: number): void {
    const open: Transfer[] = [];
    for (const one of this.#transfers) {
      const { raft } = one.replica.node;
      if (raft.state !== "StateLeader" && raft.lead === one.to) one.resolve(undefined);
      else if (nowMs >= one.deadlineMs || (raft.lead !== 0 && raft.state !== "StateLeader" && raft.lead !== one.to)) {
        one.resolve(refuse("UNKNOWN_OUTCOME", "Leadership did not reach the box in time; see who leads now."));
      } else open.push(one);
    }
    this.#transfers = open;
  }
}

/** The other full voter that has most of the log, or the one on the box asked for; undefined when none is alive. */
function targetOf(replica: Replica, toBox: string | undefined): number | undefined {
  const { raft } = replica.node;
  let best: number | undefined;
  let bestMatch = -1;
  for (const id of replica.config.voters) {
    if (id === replica.id || isWitness(replica.config, id) || replica.lost.has(id)) continue;
    const member = memberOf(replica.config, id);
    const progress = raft.tracker.progress.get(id);
    if (member === undefined || progress === undefined || (toBox !== undefined && member.box !== toBox)) continue;
    const silentMax = replica.timing.electionMs / replica.settings.tickMs;
    if (progress.state !== "StateReplicate" || progress.silentTicks > silentMax) continue;
    if (progress.match <= bestMatch) continue;
    best = id;
    bestMatch = progress.match;
  }
  return best;
}
