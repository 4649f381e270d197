import { message } from "../raft/messages.ts";
import { Mode } from "../raft/pairsolo.ts";
import type { ProgressMap } from "../raft/tracker/tracker.ts";
import { isJoint, isWitness } from "./config.ts";
import { boxOf, type HostCore, peerBoxes } from "./core.ts";
import type { Replica } from "./replica.ts";

/** The loop's own lateness counts for as many of a log's election timeouts at most: a real failure is still noticed. */
const lateElectionsMax = 2;
/** Ticks that a blocked loop may have missed before nobody's silence is believed. */
const missedTicksMax = 5;

/** Ticks between two looks at a replica that nobody waits for, awake and quiet. */
const ticksPerLook = 5;
const ticksPerQuietLook = 200;
/** A box that shares quiet groups is sent a sign of life when it was sent nothing for this time, ms. */
const signMs = 50;
/** A box not heard for this time is taken for dead by the groups that it leads and that are quiet, ms. */
const silentMs = 200;

export interface TickerHooks {
  /** False while something is to be done that only a tick begins. */
  mayRest(replica: Replica): boolean;
  /** For every replica that ticks: once a tick while somebody waits for it, and every few ticks otherwise. */
  ticked(replica: Replica, nowMs: number): void;
  /** It has stopped ticking for a while: everything is on every member. */
  rests(replica: Replica): void;
}

/**
 * The core's clock. One tick at most per turn, whatever time has passed: a loop that was blocked has not heard its
 * leaders, and must not hold that against them. Most ticks of most groups only count, so a core is told of one when
 * something is due (`RawNode.isDue`): a thousand groups that wait for their next beat cost a comparison each. Idle groups
 * stop ticking; see liveness.ts for what wakes them.
 */
export class Ticker {
  readonly #core: HostCore;
  readonly #hooks: TickerHooks;
  #lastMs: number;
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
    const tick = ++this.#core.ticks.value;
    this.#lateMs = this.#core.needs.loopDelayMs?.() ?? 0;
    for (const replica of this.#core.attended) {
      if (replica.mute) this.#hooks.ticked(replica, now);
      else if (!replica.quiet) this.#tickAwake(replica, { tick, now });
      else if (replica.reads.count + replica.locks.count > 0) this.#hooks.ticked(replica, now);
      else this.#core.attended.delete(replica);
    }
    if (tick % ticksPerQuietLook === 0) {
      for (const replica of this.#core.replicas.values()) if (replica.quiet) this.#hooks.rests(replica);
    }
    this.#signs();
  }

  #tickAwake(replica: Replica, { tick, now }: { tick: number; now: number }): void {
    const isLook = (tick + replica.log) % ticksPerLook === 0;
    // Before a beat of this tick, which may fall on every look: it would never find the group at rest.
    if (isLook) this.#look(replica);
    if (replica.quiet) return;
    if (replica.node.isDue) this.#tickOne(replica);
    if (isLook || isAwaited(replica)) this.#hooks.ticked(replica, now);
  }

  #tickOne(replica: Replica): void {
    const { raft } = replica.node;
    // A leader that cannot write must not keep others from leading.
    if (raft.state === "StateLeader" && this.#core.turns.stallMs > this.#stallMaxMs(replica)) this.#stepDown(replica);
    if (this.#isPatient(replica)) replica.node.holdTick();
    else replica.node.tick();
    if (replica.node.hasReady()) this.#core.turns.mark(replica);
  }

  /** Counts for how long a led group was idle. */
  #look(replica: Replica): void {
    const { raft } = replica.node;
    const index = raft.log.lastIndex();
    const { idle } = replica;
    const goesOn = raft.state === "StateLeader" && idle.index === index && isIdle(replica);
    idle.index = index;
    if (!goesOn) idle.ticks = 0;
    // The farewell must be the last word: whatever follows it would wake the followers.
    else if (!replica.node.hasReady()) this.#count(replica);
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
    const { quiesceAfterBeats, tickMs } = this.#core.settings;
    if (quiesceAfterBeats === 0) return;
    replica.idle.ticks += ticksPerLook;
    if (replica.idle.ticks * tickMs < quiesceAfterBeats * replica.timing.heartbeatMs) return;
    replica.idle.ticks = 0;
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
  }

  /** `speaks`: a leader is about to send to all its followers anyway. */
  wake(replica: Replica, speaks = false): void {
    for (const box of replica.quietBoxes) this.#core.liveness.addQuiet(box, -1);
    replica.quietBoxes = [];
    replica.idle.ticks = 0;
    if (!replica.quiet) return;
    replica.quiet = false;
    this.#core.attended.add(replica);
    replica.node.forgiveTicks();
    // Whoever is awake already should hear of its leader before it looks for another.
    if (replica.isLeader && !speaks) replica.node.beat();
    this.#core.turns.mark(replica);
  }

  /** A box was silent for so long, or its stream broke: groups that it leads count time again, the silence included. */
  wakeLedBy(box: string, quietMs = 0): void {
    const silentTicks = Math.floor(quietMs / this.#core.settings.tickMs);
    for (const replica of this.#core.replicas.values()) {
      if (!replica.quiet || replica.leaderBox !== box) continue;
      this.wake(replica);
      replica.node.raft.skipTicks(silentTicks);
    }
  }

  /** A box came up: groups led here speak to it at once, or it would look for other leaders. */
  wakeLedHere(box: string): void {
    for (const replica of this.#core.replicas.values()) {
      if (replica.quiet && replica.isLeader && replica.quietBoxes.includes(box)) this.wake(replica);
    }
  }

  #signs(): void {
    const { liveness, outbox } = this.#core;
    for (const box of liveness.toSend(signMs)) outbox.addLife(box);
    for (const box of liveness.fellSilent(silentMs)) this.wakeLedBy(box, silentMs);
  }
}

/** Somebody waits for an answer, or a lock for its end. */
function isAwaited({ proposals, pending, reads, locks, appliedWaiters, durableWaiters }: Replica): boolean {
  const called = proposals.count + pending.count + reads.count;
  return called + locks.count + appliedWaiters.count + durableWaiters.count > 0;
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
