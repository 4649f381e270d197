import { localMessage, message } from "../raft/messages.ts";
import { Mode } from "../raft/pairsolo.ts";
import type { ProgressMap } from "../raft/tracker/tracker.ts";
import { isJoint, isWitness } from "./config.ts";
import { boxOf, type HostCore, peerBoxes } from "./core.ts";
import type { Replica } from "./replica.ts";

/** The loop's own lateness counts for as many of a log's election timeouts at most: a real failure is still noticed. */
const lateElectionsMax = 2;
/** Ticks that a blocked loop may have missed before nobody's silence is believed. */
const missedTicksMax = 5;

/** Ticks between two looks at signs of life. */
const ticksPerSigns = 5;
/** A box that shares quiet groups is sent a sign of life when it was sent nothing for this time, ms. */
const signMs = 50;
/** A box not heard for this time is taken for dead by the groups that it leads and that are quiet, ms. */
const silentMs = 300;

export interface TickerHooks {
  /** False while something is to be done that only a tick begins. */
  mayRest(replica: Replica): boolean;
  /** Once a tick for every replica that ticks. */
  ticked(replica: Replica, nowMs: number): void;
  /** It stopped ticking: everything is on every member. */
  rests(replica: Replica): void;
}

/**
 * The core's clock. One tick at most per turn, whatever time has passed: a loop that was blocked has not heard its
 * leaders, and must not hold that against them. Idle groups stop ticking; see liveness.ts for what wakes them.
 */
export class Ticker {
  readonly #core: HostCore;
  readonly #hooks: TickerHooks;
  #lastMs: number;
  #ticks = 0;
  /** How late this loop was lately, ms. */
  #lateMs = 0;

  constructor(core: HostCore, hooks: TickerHooks) {
    this.#core = core;
    this.#hooks = hooks;
    this.#lastMs = core.needs.clock.now();
  }

  tick(): void {
    const { clock } = this.#core.needs;
    const now = clock.now();
    if (now - this.#lastMs > missedTicksMax * this.#core.settings.tickMs) this.#core.liveness.forgive();
    this.#lastMs = now;
    this.#ticks++;
    this.#lateMs = this.#core.needs.loopDelayMs?.() ?? 0;
    for (const replica of this.#core.replicas.values()) {
      if (replica.mute) {
        this.#hooks.ticked(replica, now);
        continue;
      }
      if (!replica.quiet) this.#tickOne(replica);
      if (!replica.quiet || replica.reads.count > 0 || replica.locks.count > 0) this.#hooks.ticked(replica, now);
    }
    if (this.#ticks % ticksPerSigns === 0) this.#signs();
  }

  #tickOne(replica: Replica): void {
    const { raft } = replica.node;
    // A leader that cannot write must not keep others from leading.
    if (raft.state === "StateLeader" && this.#core.turns.stallMs > this.#stallMaxMs(replica)) this.#stepDown(replica);
    if (!this.#isPatient(replica)) replica.node.tick();
    // The farewell must be the last word: whatever follows it would wake the followers.
    const idle = raft.state === "StateLeader" && isIdle(replica);
    if (replica.node.hasReady()) this.#core.turns.mark(replica);
    else if (idle) this.#count(replica);
    if (!idle) replica.idleTicks = 0;
  }

  /**
   * True when the core would stand for election now, but should wait: this loop was late lately, so what the leader sent
   * may be on its way through a loop (its own or this one) that is as busy. Adds the lateness to the election timeout.
   */
  #isPatient(replica: Replica): boolean {
    const { raft } = replica.node;
    const due = raft.state !== "StateLeader" && raft.electionElapsed + 1 >= raft.randomizedElectionTimeout;
    if (!due || this.#lateMs === 0) {
      replica.patientTicks = 0;
      return false;
    }
    replica.patientTicks++;
    if (replica.patientTicks * this.#core.settings.tickMs <= this.#excusedMs(replica)) return true;
    replica.patientTicks = 0;
    return false;
  }

  /** Silence that may be this loop's own fault, ms. */
  #excusedMs({ timing }: Replica): number {
    return Math.min(this.#lateMs, lateElectionsMax * timing.electionMs);
  }

  /**
   * Above it a write counts as stalled, ms: the longest election timeout, since an election over a disk that is only slow
   * costs more than it gains, and as often as not the same box wins.
   */
  #stallMaxMs(replica: Replica): number {
    return 2 * replica.timing.electionMs + this.#excusedMs(replica);
  }

  #stepDown(replica: Replica): void {
    const { raft } = replica.node;
    if (raft.tracker.config.voters.incoming.size < 2) return;
    replica.node.stepDown();
    this.#core.turns.mark(replica);
  }

  #count(replica: Replica): void {
    const { quiesceAfterElections, tickMs } = this.#core.settings;
    if (quiesceAfterElections === 0) return;
    replica.idleTicks++;
    if (replica.idleTicks * tickMs < quiesceAfterElections * replica.timing.electionMs) return;
    replica.idleTicks = 0;
    if (!this.#hooks.mayRest(replica)) return;
    const { raft } = replica.node;
    const last = raft.log.lastIndex();
    for (const member of replica.config.members) {
      if (member.replica === replica.id || boxOf(this.#core, replica, member.replica) === undefined) continue;
      const farewell = message("MsgHeartbeat", member.replica);
      farewell.from = replica.id;
      farewell.term = raft.term;
      farewell.commit = last;
      farewell.index = last;
      farewell.logTerm = raft.term;
      const { log, generation } = replica;
      this.#core.outbox.add(member.box, { log, generation, message: farewell, quiesce: true });
    }
    this.quiesce(replica);
  }

  quiesce(replica: Replica): void {
    if (replica.quiet) return;
    replica.quiet = true;
    replica.quietBoxes = peerBoxes(this.#core, replica);
    for (const box of replica.quietBoxes) this.#core.liveness.addQuiet(box, 1);
    this.#hooks.rests(replica);
  }

  wake(replica: Replica): void {
    for (const box of replica.quietBoxes) this.#core.liveness.addQuiet(box, -1);
    replica.quietBoxes = [];
    replica.idleTicks = 0;
    if (!replica.quiet) return;
    replica.quiet = false;
    // Whoever is awake already should hear of its leader before it looks for another.
    if (replica.isLeader) replica.node.raft.step(localMessage("MsgBeat", replica.id));
    this.#core.turns.mark(replica);
  }

  /** A box fell silent or its stream broke: groups that it leads count time again. */
  wakeLedBy(box: string): void {
    for (const replica of this.#core.replicas.values()) {
      if (replica.quiet && replica.leaderBox === box) this.wake(replica);
    }
  }

  #signs(): void {
    const { liveness, outbox } = this.#core;
    for (const box of liveness.toSend(signMs)) outbox.addLife(box);
    for (const box of liveness.fellSilent(silentMs)) this.wakeLedBy(box);
  }
}

/** Everything is on every member, and nobody wants anything. The last entry is of this term, so committing is over. */
function isIdle(replica: Replica): boolean {
  const { raft } = replica.node;
  const last = raft.log.lastIndex();
  if (raft.log.applied !== last || raft.log.committed !== last || raft.log.term(last) !== raft.term) return false;
  if (replica.proposals.count + replica.reads.count + replica.locks.count + replica.durableWaiters.count > 0) {
    return false;
  }
  if (isJoint(replica.config) || raft.leadTransferee !== 0) return false;
  // Were its leader lost now, nobody could follow it, though its peer has everything.
  if (raft.regime?.leader.mode === Mode.SOLO) return false;
  return allMatched(replica, raft.tracker.progress, last);
}

function allMatched(replica: Replica, progress: ProgressMap, last: number): boolean {
  for (const [id, { match, state }] of progress) {
    if (id === replica.id || isWitness(replica.config, id)) continue;
    if (match !== last || state !== "StateReplicate") return false;
  }
  return true;
}
