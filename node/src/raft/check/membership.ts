import { type CommitView, type LeaderEpoch, Mode, type PairSoloRules, pairSoloRules } from "../pairsolo.ts";
import { type WitnessRules, witnessRules } from "../witness.ts";
import type { Model } from "./explore.ts";
import {
  cloneState,
  decode,
  encode,
  entry,
  epochOf,
  FULL,
  initial,
  isConf,
  NAMES,
  type Node,
  Role,
  type State,
  show,
  stepDown,
  Type,
  termOf,
  typeOf,
} from "./membership-state.ts";

/** A configuration change: voters before and after, by id. */
export interface Change {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

export interface MembershipRules {
  readonly witness: WitnessRules;
  readonly leader: PairSoloRules;
  /** The commit index of a member that restarts. */
  commitAfterRestart(node: Node): number;
}

export const membershipRules: MembershipRules = {
  witness: witnessRules,
  leader: pairSoloRules,
  commitAfterRestart: (node) => node.commit,
};

export interface MembershipBounds {
  readonly terms: number;
  readonly entries: number;
  /** Highest epoch reached by changes of mode; configuration changes may add two more. */
  readonly epochs: number;
  readonly proposals?: boolean;
  /** These take no more steps and receive nothing. */
  readonly dead?: readonly number[];
}

type Emit = (next: State, label: string, fault?: string) => void;
const isWitness = (id: number): boolean => id >= FULL;

/** Joint configuration changes beside the witness, with apply lag, durable commit indexes and local reads. */
export class MembershipModel implements Model<State> {
  readonly encode = encode;
  readonly decode = decode;
  readonly show = show;
  private readonly change: Change;
  private readonly bounds: MembershipBounds;
  private readonly rules: MembershipRules;
  private readonly from: State | undefined;

  constructor(
    setup: { change: Change; bounds: MembershipBounds; from?: State },
    rules: MembershipRules = membershipRules,
  ) {
    this.change = setup.change;
    this.bounds = setup.bounds;
    this.from = setup.from;
    this.rules = rules;
  }

  start(): State {
    return this.from ?? initial([this.rules.witness.join(FULL), this.rules.witness.join(FULL + 1)]);
  }

  /** [incoming, outgoing] of the configuration the node has applied. */
  halves(node: Node): (readonly number[])[] {
    let halves: (readonly number[])[] = [this.change.from];
    for (let k = 0; k < node.applied; k++) {
      const type = typeOf(node.log[k]!);
      if (type === Type.Enter) halves = [this.change.to, this.change.from];
      if (type === Type.Leave) halves = [this.change.to];
    }
    return halves;
  }

  successors(state: State, emitRaw: Emit): void {
    const emit: Emit = (next, label, fault) => {
      this.reduce(next);
      emitRaw(next, label, fault);
    };
    for (let i = 0; i < FULL; i++) {
      if (this.bounds.dead?.includes(i)) continue;
      this.nodeSteps(state, i, emit);
      if (state.nodes[i]!.role === Role.Leader) {
        this.configurationSteps(state, i, emit);
        this.leaderSteps(state, i, emit);
      }
      if (state.nodes[i]!.role === Role.Candidate) this.requestVotes(state, i, emit);
    }
    for (let w = FULL; w < FULL + 2; w++) if (!this.bounds.dead?.includes(w)) this.witnessSteps(state, w, emit);
  }

  violation(s: State): string | undefined {
    for (let i = 0; i < FULL; i++) {
      const a = s.nodes[i]!;
      for (let j = i + 1; j < FULL; j++) {
        const b = s.nodes[j]!;
        if (a.role === Role.Leader && b.role === Role.Leader && a.term === b.term)
          return "ElectionSafety: two leaders in one term";
        for (let k = 0; k < Math.min(a.commit, b.commit); k++) {
          if (a.log[k] !== b.log[k]) return "StateMachineSafety: committed prefixes differ";
        }
      }
      if (a.role !== Role.Leader) continue;
      const view = this.view(a, i);
      const reads = this.rules.leader.mayReadLocally({ ...view, commit: a.commit, transferring: false });
      for (let k = 0; k < s.committed.length; k++) {
        if (s.committedBy[k]! < a.term && a.log[k] !== s.committed[k]) {
          return `LeaderCompleteness: leader ${NAMES[i]} lacks committed index ${k + 1}`;
        }
        if (reads && s.committedBy[k]! > a.term) {
          return `StaleLocalRead: ${NAMES[i]} reads locally in term ${a.term}, term ${s.committedBy[k]} committed index ${k + 1}`;
        }
      }
    }
    return undefined;
  }

  private view(node: Node, i: number): CommitView {
    const wAcked = new Map<number, number>();
    node.acked.forEach((epoch, j) => {
      if (epoch > 0) wAcked.set(FULL + j, epoch - 1);
    });
    const length = node.log.length;
    let termStart = length;
    while (termStart > 0 && termOf(node.log[termStart - 1]) === node.term) termStart--;
    let epochStart = length;
    while (epochStart > termStart && epochOf(node.log[epochStart - 1]) === node.epoch) epochStart--;
    const mode = node.solo ? Mode.SOLO : Mode.PAIR;
    return {
      halves: this.halves(node),
      self: i,
      isWitness,
      leader: { mode, epoch: node.epoch, epochStart: epochStart + 1, wAcked },
      selfDurable: length,
      lastIndex: length,
      termStart: termStart + 1,
      match: (id) => node.match[id]!,
    };
  }

  private store(node: Node, leader: LeaderEpoch): void {
    node.solo = leader.mode === Mode.SOLO ? 1 : 0;
    node.epoch = leader.epoch;
    node.acked = [FULL, FULL + 1].map((w) => {
      const epoch = leader.wAcked.get(w);
      return epoch === undefined ? 0 : epoch + 1;
    });
  }

  private nodeSteps(state: State, i: number, emit: Emit): void {
    const node = state.nodes[i]!;
    const halves = this.halves(node);
    let lastConf = node.commit;
    while (lastConf > 0 && !isConf(node.log[lastConf - 1]!)) lastConf--;
    const member = halves.some((half) => half.includes(i));
    if (
      node.role !== Role.Leader &&
      node.term < this.bounds.terms &&
      member &&
      this.rules.leader.mayCampaign(node.applied, lastConf)
    ) {
      const next = cloneState(state);
      const candidate = next.nodes[i]!;
      candidate.term++;
      candidate.role = Role.Candidate;
      candidate.vote = i + 1;
      candidate.votes = 1 << i;
      emit(next, `timeout ${NAMES[i]}`);
    }
    this.restart(state, i, emit);
    const voted = (id: number): boolean => ((node.votes >> id) & 1) === 1;
    if (
      node.role === Role.Candidate &&
      node.log.length < this.bounds.entries &&
      this.rules.leader.quorum(halves, voted)
    ) {
      const next = cloneState(state);
      const leader = next.nodes[i]!;
      leader.role = Role.Leader;
      leader.match = [0, 0, 0];
      this.store(leader, this.rules.leader.elected({ halves, self: i, isWitness }, voted, leader.log.length + 1));
      leader.log.push(entry(leader.term, 0, Type.Empty));
      emit(next, `lead ${NAMES[i]}`);
    }
    if (node.applied < node.commit) {
      const next = cloneState(state);
      next.nodes[i]!.applied++;
      emit(next, `apply ${NAMES[i]}`);
    }
  }

  private restart(state: State, i: number, emit: Emit): void {
    const node = state.nodes[i]!;
    const commit = this.rules.commitAfterRestart(node);
    if (node.role === Role.Follower && commit === node.commit) return;
    for (const applied of new Set([Math.min(node.applied, commit), 1])) {
      const next = cloneState(state);
      const restarted = next.nodes[i]!;
      stepDown(restarted);
      restarted.commit = commit;
      restarted.applied = applied;
      emit(next, `restart ${NAMES[i]}${applied < Math.min(node.applied, commit) ? " (replay)" : ""}`);
    }
  }

  private configurationSteps(state: State, i: number, emit: Emit): void {
    const { entries, epochs } = this.bounds;
    const node = state.nodes[i]!;
    if (node.log.length >= entries) return;
    const halves = this.halves(node);
    const pending = node.log.slice(node.applied).some(isConf);
    const fresh = termOf(node.log[node.commit - 1]) === node.term;
    const type = halves.length > 1 ? Type.Leave : halves[0] === this.change.from ? Type.Enter : undefined;
    if (type !== undefined && !pending && fresh && node.epoch < epochs + 2) {
      emit(
        this.startEpoch(state, i, { solo: node.solo, type }),
        `${type === Type.Enter ? "ENTER" : "LEAVE"} ${NAMES[i]}`,
      );
    }
    if (this.bounds.proposals) {
      const next = cloneState(state);
      next.nodes[i]!.log.push(entry(node.term, node.epoch, Type.Normal));
      emit(next, `propose ${NAMES[i]}`);
    }
    if (halves.some((half) => half.some(isWitness)) && node.epoch < epochs) {
      const solo = 1 - node.solo;
      emit(this.startEpoch(state, i, { solo, type: Type.Empty }), `${solo ? "SOLO" : "PAIR"} ${NAMES[i]}`);
    }
  }

  private startEpoch(state: State, i: number, to: { solo: number; type: number }): State {
    const next = cloneState(state);
    const node = next.nodes[i]!;
    const { leader } = this.view(node, i);
    this.rules.leader.startEpoch(leader, to.solo ? Mode.SOLO : Mode.PAIR, node.log.length + 1);
    this.store(node, leader);
    node.log.push(entry(node.term, node.epoch, to.type));
    return next;
  }

  private leaderSteps(state: State, i: number, emit: Emit): void {
    const node = state.nodes[i]!;
    for (let j = 0; j < FULL; j++) {
      const peer = state.nodes[j]!;
      if (j === i || peer.term > node.term || this.bounds.dead?.includes(j)) continue;
      const idle = peer.term === node.term && peer.log.length === node.log.length && peer.commit >= node.commit;
      if (idle && node.match[j]! >= node.log.length && peer.role === Role.Follower) continue;
      for (const acked of node.match[j]! < node.log.length ? [false, true] : [false]) {
        const next = cloneState(state);
        const fault = append(next.nodes[i]!, next.nodes[j]!);
        if (acked) next.nodes[i]!.match[j] = node.log.length;
        emit(next, `append ${NAMES[i]}->${NAMES[j]}${acked ? "" : " (ack lost)"}`, fault);
      }
    }
    const view = this.view(node, i);
    const reached = this.rules.leader.commitIndex(view);
    if (reached > node.commit) this.commit(state, i, reached, emit);
    for (let w = FULL; w < FULL + 2; w++) {
      const slot = state.slots[(w - FULL) * FULL + i]!;
      if (slot.term === 0) continue;
      const next = cloneState(state);
      const { leader } = this.view(next.nodes[i]!, i);
      next.slots[(w - FULL) * FULL + i] = { term: 0, epoch: 0 };
      if (!this.rules.leader.engageReplyCounts(leader, node.term, { ...slot, ok: true })) continue;
      this.rules.leader.engaged(leader, w);
      this.store(next.nodes[i]!, leader);
      emit(next, `${NAMES[i]} learns that ${NAMES[w]} is engaged`);
    }
  }

  private commit(state: State, i: number, reached: number, emit: Emit): void {
    const next = cloneState(state);
    const node = next.nodes[i]!;
    node.commit = reached;
    let fault: string | undefined;
    for (let k = 0; k < reached; k++) {
      if (k >= next.committed.length) {
        next.committed.push(node.log[k]!);
        next.committedBy.push(node.term);
      } else if (next.committed[k] !== node.log[k])
        fault = `StateMachineSafety: index ${k + 1} committed twice with different entries`;
    }
    emit(next, `commit ${NAMES[i]} to ${reached}`, fault);
  }

  private requestVotes(state: State, i: number, emit: Emit): void {
    const candidate = state.nodes[i]!;
    const voters = this.halves(candidate).flat();
    const last = candidate.log.at(-1);
    for (let j = 0; j < FULL; j++) {
      const peer = state.nodes[j]!;
      if (j === i || !voters.includes(j) || peer.term > candidate.term || this.bounds.dead?.includes(j)) continue;
      const next = cloneState(state);
      const voter = next.nodes[j]!;
      if (candidate.term > voter.term) {
        voter.term = candidate.term;
        voter.vote = 0;
        stepDown(voter);
      }
      const own = termOf(peer.log.at(-1));
      const upToDate = termOf(last) > own || (termOf(last) === own && candidate.log.length >= peer.log.length);
      const granted = upToDate && (voter.vote === 0 || voter.vote === i + 1) && voter.role === Role.Follower;
      if (granted) {
        voter.vote = i + 1;
        next.nodes[i]!.votes |= 1 << j;
      }
      emit(next, `${NAMES[j]} ${granted ? "votes for" : "refuses"} ${NAMES[i]}`);
    }
  }

  private witnessSteps(state: State, w: number, emit: Emit): void {
    const rules = this.rules.witness;
    const held = state.witnesses[w - FULL];
    const removed = state.nodes.some((n) => n.role === Role.Leader && !this.halves(n).flat().includes(w));
    if (removed && held !== undefined && this.change.from.includes(w)) {
      const next = cloneState(state);
      next.witnesses[w - FULL] = undefined;
      emit(next, `${NAMES[w]} forgets the group`);
    }
    const record = rules.recordFor(held, w);
    if (record === undefined) return;
    for (let i = 0; i < FULL; i++) {
      const node = state.nodes[i]!;
      if (this.bounds.dead?.includes(i) || node.term < record.term || !this.halves(node).flat().includes(w)) continue;
      if (node.role === Role.Candidate) {
        const last = node.log.at(-1);
        const outcome = rules.onVote(record, {
          term: node.term,
          cand: i,
          lastTerm: termOf(last),
          lastEpoch: epochOf(last),
          pre: false,
        });
        const next = cloneState(state);
        next.witnesses[w - FULL] = outcome.record;
        if (outcome.reply.granted) next.nodes[i]!.votes |= 1 << w;
        emit(next, `${NAMES[w]} ${outcome.reply.granted ? "votes for" : "refuses"} ${NAMES[i]}`);
      } else if (node.role === Role.Leader) {
        const view = this.view(node, i);
        if (!this.rules.leader.mayEngage(view.leader, w, view.selfDurable)) continue;
        const outcome = rules.onEngage(record, { term: node.term, leader: i, epoch: node.epoch });
        if (!outcome.reply.ok) continue;
        const next = cloneState(state);
        next.witnesses[w - FULL] = outcome.record;
        next.slots[(w - FULL) * FULL + i] = { term: outcome.reply.term, epoch: outcome.reply.epoch };
        emit(next, `${NAMES[w]} engaged by ${NAMES[i]} at (${node.term},${node.epoch})`);
      }
    }
  }

  private reduce(state: State): void {
    for (let k = 0; k < state.slots.length; k++) {
      const slot = state.slots[k]!;
      const node = state.nodes[k % FULL]!;
      const counts =
        node.role === Role.Leader && slot.term === node.term && slot.epoch === node.epoch && node.solo === 1;
      if (slot.term !== 0 && (!counts || node.acked[Math.floor(k / FULL)] === node.epoch + 1)) {
        state.slots[k] = { term: 0, epoch: 0 };
      }
    }
  }
}

/** The leader's whole log and commit index reach the follower. */
function append(leader: Node, follower: Node): string | undefined {
  let fault: string | undefined;
  if (leader.term > follower.term) {
    follower.term = leader.term;
    follower.vote = 0;
  }
  stepDown(follower);
  const length = leader.log.length;
  let same = 0;
  while (same < length && same < follower.log.length && leader.log[same] === follower.log[same]) same++;
  if (same < length) {
    if (same < follower.commit) fault = "StateMachineSafety: a committed entry is truncated";
    follower.log = leader.log.slice();
  }
  follower.commit = Math.max(follower.commit, Math.min(leader.commit, length));
  return fault;
}
