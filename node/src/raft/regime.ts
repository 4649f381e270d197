import { maybeCommit } from "./conf.ts";
import { hex } from "./describe.ts";
import { localMessage, type Message, message } from "./messages.ts";
import { type LeaderEpoch, type Members, Mode, pairSoloRules } from "./pairsolo.ts";
import { appendEntries, emptyEntry } from "./proposals.ts";
import { sortedIds } from "./quorum/majority.ts";
import type { Raft } from "./raft.ts";
import { releaseLocalReads, releasePendingReads, stepReadAck } from "./reads.ts";
import { broadcastAppend } from "./replication.ts";
import type { Config } from "./tracker/config.ts";
import { NONE } from "./types.ts";

/** A leader's PAIR / SOLO state. The rules are in `pairsolo.ts`; this file lets them act on the core. */
export interface Regime {
  readonly leader: LeaderEpoch;
  /** Index of the no-op of the election. */
  readonly termStart: number;
  /** Ticks since the last change of mode. */
  modeTicks: number;
  /** Least ticks in SOLO; doubles when SOLO follows PAIR too soon. */
  dwellTicks: number;
}

export function membersOf(config: Config, self: number): Members {
  const { incoming, outgoing } = config.voters;
  const halves = outgoing.size === 0 ? [sortedIds(incoming)] : [sortedIds(incoming), sortedIds(outgoing)];
  return { halves, self, isWitness: (id) => config.witnesses.has(id) };
}

export function hasWitness(r: Raft): boolean {
  return r.tracker.config.witnesses.size > 0;
}

/** The regime of the election just won; SOLO when the votes were no quorum without the witness. */
export function electedRegime(r: Raft): Regime {
  const termStart = r.log.lastIndex() + 1;
  const leader = pairSoloRules.elected(r.members, (id) => r.tracker.voteOf(id) === true, termStart);
  return { leader, termStart, modeTicks: 0, dwellTicks: r.settings.soloDwellTicks };
}

/** What the voters and engaged witnesses have made certain of the own term; 0 when nothing. */
export function regimeCommitted(r: Raft, { leader, termStart }: Regime): number {
  const { progress } = r.tracker;
  return pairSoloRules.commitIndex({
    ...r.members,
    leader,
    termStart,
    selfDurable: progress.get(r.id)?.match ?? 0,
    match: (id) => progress.get(id)?.match ?? 0,
    lastIndex: r.log.lastIndex(),
  });
}

/**
 * A configuration change is about to stand at `index`: it opens an epoch, as soon as a witness has to do with it, so
 * that no engagement made under the former configuration counts for entries after it.
 */
export function openConfEpoch(r: Raft, index: number, addsWitness: boolean): void {
  const leader = r.regime?.leader;
  if (leader !== undefined && (hasWitness(r) || addsWitness || leader.epoch > 0)) {
    openEpoch(r, leader.mode, index);
  }
}

/** One tick of a leader: silence grows, modes change, and what the witness did not answer is asked again. */
export function tickRegime(r: Raft): void {
  const { regime } = r;
  if (regime === undefined) return;
  regime.modeTicks++;
  for (const [id, progress] of r.tracker.progress) if (id !== r.id) progress.silentTicks++;
  if (r.leadTransferee !== NONE && hasWitness(r) && !isPresent(r, r.leadTransferee)) r.leadTransferee = NONE;
  enterSoloIfDue(r);
  enterPairIfDue(r);
  handOverIfLeaving(r);
}

/** So many of the next ticks change nothing of mode and leadership by themselves (`Raft.ticksToSpare`). */
export function regimeTicksToSpare(r: Raft): number {
  const { regime } = r;
  if (r.leadTransferee !== NONE) return 0;
  if (regime === undefined || !hasWitness(r)) return r.settings.electionTick;
  if (regime.leader.mode === Mode.SOLO || r.tracker.config.voters.outgoing.size > 0) return 0;
  let spare = r.settings.electionTick;
  if (!isWaiting(r)) return spare;
  const { soloAfterTicks, soloAfterDownTicks } = r.settings;
  for (const [id, { isWitness, silentTicks }] of r.tracker.progress) {
    if (id === r.id || isWitness) continue;
    const silentMax = r.peersDown.has(id) ? soloAfterDownTicks : soloAfterTicks;
    spare = Math.min(spare, silentMax - silentTicks - 1);
  }
  return spare;
}

/**
 * Whether this leader is about to be removed by the joint configuration it is in, because leadership moved while the
 * change was under way. It must not leave the configuration itself: the witness would stay bound to a log whose holder
 * may not campaign any more.
 */
export function isLeaving(r: Raft): boolean {
  const { voters } = r.tracker.config;
  return hasWitness(r) && voters.outgoing.size > 0 && !voters.incoming.has(r.id);
}

/** PAIR → SOLO, when the peer is silent and something waits for it. */
export function enterSoloIfDue(r: Raft): void {
  const { regime } = r;
  if (regime === undefined || regime.leader.mode === Mode.SOLO || !hasWitness(r) || r.leadTransferee !== NONE) return;
  // Looked at every tick in every group: silence only where it matters.
  if (!isWaiting(r)) return;
  const { draining } = r;
  if (!pairSoloRules.enterSolo({ mode: regime.leader.mode, lacking: lacksPeer(r), waiting: true, draining })) return;
  const { soloDwellTicks, soloDwellTicksMax } = r.settings;
  const flapping = regime.modeTicks < regime.dwellTicks && regime.leader.epoch > 0;
  regime.dwellTicks = flapping ? Math.min(regime.dwellTicks * 2, soloDwellTicksMax) : soloDwellTicks;
  changeMode(r, regime, Mode.SOLO);
}

/** Asks every witness that stands for a silent peer to engage, once what opened the epoch is durable here. */
export function requestEngagements(r: Raft): void {
  const { regime } = r;
  if (regime === undefined || regime.leader.mode !== Mode.SOLO) return;
  const durable = r.tracker.progress.get(r.id)?.match ?? 0;
  for (const id of r.tracker.config.witnesses) {
    if (!pairSoloRules.mayEngage(regime.leader, id, durable)) continue;
    const engage = message("MsgWitnessEngage", id);
    engage.epoch = regime.leader.epoch;
    r.send(engage);
  }
}

/**
 * Asks the witnesses whether this is still the newest term, in the place of a silent peer: for the reads whose `context`
 * it is, or because CheckQuorum draws near. A healthy pair never touches its witness.
 */
export function pingWitnesses(r: Raft, context: Uint8Array): void {
  if (!hasWitness(r) || !needsPing(r, context)) return;
  for (const id of r.tracker.config.witnesses) {
    const ping = message("MsgWitnessPing", id);
    ping.context = context;
    r.send(ping);
  }
}

export function stepEngageResponse(r: Raft, m: Message): void {
  const { regime } = r;
  const progress = r.tracker.progress.get(m.from);
  if (regime === undefined || !progress?.isWitness) return;
  const reply = { term: m.term, epoch: m.epoch, ok: !m.reject };
  if (!pairSoloRules.engageReplyCounts(regime.leader, r.term, reply)) return;
  progress.recentActive = true;
  pairSoloRules.engaged(regime.leader, m.from);
  if (maybeCommit(r)) {
    releasePendingReads(r);
    broadcastAppend(r);
  }
  releaseLocalReads(r);
}

export function stepPingResponse(r: Raft, m: Message): void {
  const progress = r.tracker.progress.get(m.from);
  if (r.regime === undefined || !progress?.isWitness || m.index !== r.term) return;
  progress.recentActive = true;
  stepReadAck(r, m);
}

/** Whether a read may be answered from the commit index as it stands, asking nobody. */
export function mayReadLocally(r: Raft): boolean {
  const { regime } = r;
  if (regime === undefined || !hasWitness(r)) return false;
  const { leader, termStart } = regime;
  const transferring = r.leadTransferee !== NONE;
  return pairSoloRules.mayReadLocally({ ...r.members, leader, termStart, transferring, commit: r.log.committed });
}

export function quorumHeard(r: Raft): boolean {
  const { regime } = r;
  if (regime === undefined || !hasWitness(r)) return r.tracker.quorumActive();
  const heard = (id: number): boolean => r.tracker.progress.get(id)?.recentActive ?? false;
  return pairSoloRules.checkQuorum(r.members, regime.leader, heard);
}

/** SOLO → PAIR, when the peer has all but the newest entries and SOLO has lasted long enough. */
function enterPairIfDue(r: Raft): void {
  const { regime } = r;
  if (regime === undefined || regime.leader.mode === Mode.PAIR) return;
  const caughtUp = (id: number): boolean => {
    const progress = r.tracker.progress.get(id);
    if (progress?.state !== "StateReplicate" || !isPresent(r, id)) return false;
    return progress.match + r.settings.pairLagMax >= r.log.lastIndex();
  };
  const dwelt = regime.modeTicks >= regime.dwellTicks;
  if (!dwelt) return;
  const lacking = pairSoloRules.lacksPeer(r.members, caughtUp);
  if (pairSoloRules.enterPair({ mode: regime.leader.mode, lacking, dwelt })) changeMode(r, regime, Mode.PAIR);
}

function handOverIfLeaving(r: Raft): void {
  if (!isLeaving(r) || r.leadTransferee !== NONE || r.regime?.leader.mode !== Mode.PAIR) return;
  const { progress, config } = r.tracker;
  for (const id of config.voters.incoming) {
    const replica = progress.get(id);
    if (replica === undefined || replica.isWitness || replica.state !== "StateReplicate" || !isPresent(r, id)) continue;
    if (replica.match + r.settings.pairLagMax < r.log.lastIndex()) continue;
    r.step(localMessage("MsgTransferLeader", id));
    return;
  }
}

function changeMode(r: Raft, regime: Regime, mode: Mode): void {
  openEpoch(r, mode, r.log.lastIndex() + 1);
  regime.modeTicks = 0;
  r.logger.info?.(`${hex(r.id)} switched to ${mode} at term ${r.term} epoch ${regime.leader.epoch}`);
  appendEntries(r, [emptyEntry(r, "EntryEpochChange")]);
  broadcastAppend(r);
}

/** Gives CheckQuorum a full period from here: what stood for the peer until now does so no more. */
function openEpoch(r: Raft, mode: Mode, index: number): void {
  const leader = r.regime?.leader;
  if (leader === undefined) return;
  pairSoloRules.startEpoch(leader, mode, index);
  r.electionElapsed = 0;
}

/** Something stands at the leader that only others can bring forward. */
function isWaiting(r: Raft): boolean {
  return r.log.lastIndex() > r.log.committed || r.readOnly.size > 0 || r.pendingReads.length > 0;
}

function isPresent(r: Raft, id: number): boolean {
  const { soloAfterTicks, soloAfterDownTicks } = r.settings;
  const progress = r.tracker.progress.get(id);
  return progress !== undefined && progress.silentTicks < (r.peersDown.has(id) ? soloAfterDownTicks : soloAfterTicks);
}

function lacksPeer(r: Raft): boolean {
  return pairSoloRules.lacksPeer(r.members, (id) => isPresent(r, id));
}

function needsPing(r: Raft, context: Uint8Array): boolean {
  const reads = context.length > 0;
  if (r.regime?.leader.mode === Mode.SOLO) return reads && !mayReadLocally(r);
  return (reads || r.electionElapsed * 2 >= r.settings.electionTick) && lacksPeer(r);
}
