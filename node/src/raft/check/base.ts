import { assert } from "../../base/assert.ts";
import { type CommitView, type LeaderEpoch, type Members, Mode } from "../pairsolo.ts";
import { type BaseBounds, type BaseRules, baseRules, reduce } from "./base-rules.ts";
import {
  append,
  cloneState,
  decode,
  ENTRIES_MAX,
  EPOCHS_MAX,
  encode,
  encodePlain,
  entryAt,
  Kind,
  lastTerm,
  lengthOf,
  type Member,
  type Message,
  NEW_MEMBER,
  pack,
  Role,
  type State,
  send,
  show,
  TERMS_MAX,
  termAt,
  unpack,
  W,
} from "./base-state.ts";
import type { Model } from "./explore.ts";

const HALVES = [[0, 1, W]];
const NAMES = ["A", "B", "W"];
type Emit = (next: State, label: string, fault?: string) => void;

export class BaseModel implements Model<State> {
  readonly encode: (state: State, out: Uint8Array) => number;
  readonly decode = decode;
  readonly show = show;
  private readonly bounds: BaseBounds;
  private readonly rules: BaseRules;
  private readonly from: State | undefined;

  constructor(bounds: BaseBounds, rules: BaseRules = baseRules, from?: State) {
    assert(
      bounds.entries <= ENTRIES_MAX && bounds.epochs <= EPOCHS_MAX && bounds.terms <= TERMS_MAX,
      "bounds must fit the encoding",
    );
    this.bounds = bounds;
    this.encode = bounds.dead === undefined ? encode : encodePlain;
    this.rules = rules;
    this.from = from;
  }

  start(): State {
    if (this.from !== undefined) return this.from;
    const record = this.rules.witness.join(W);
    return {
      members: [{ ...NEW_MEMBER }, { ...NEW_MEMBER }],
      witness: record,
      disk: record,
      committed: 0,
      committedBy: 0,
      soup: [],
    };
  }

  successors(state: State, emitRaw: Emit): void {
    const emit: Emit = (next, label, fault) => {
      reduce(next, this.bounds, this.rules);
      emitRaw(next, label, fault);
    };
    for (let i = 0; i < 2; i++) {
      if (i === this.bounds.dead) continue;
      this.memberSteps(state, i, emit);
      if (state.members[i]!.role === Role.Leader) this.leaderSteps(state, i, emit);
    }
    this.witnessSteps(state, emit);
    for (const code of state.soup) this.deliver(state, unpack(code), emit);
  }

  violation(state: State): string | undefined {
    const [a, b] = state.members;
    if (a.role === Role.Leader && b.role === Role.Leader && a.term === b.term)
      return "ElectionSafety: two leaders in one term";
    let alike = true;
    for (let k = 0; k < Math.min(a.length, b.length); k++) {
      alike &&= entryAt(a.log, k) === entryAt(b.log, k);
      if (!alike && termAt(a.log, k) === termAt(b.log, k)) return "LogMatching: equal terms over different prefixes";
    }
    for (let i = 0; i < 2; i++) {
      const fault = this.leaderViolation(state, i);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  private leaderViolation(state: State, i: number): string | undefined {
    const member = state.members[i]!;
    if (member.role !== Role.Leader) return undefined;
    const view = this.view(member, i);
    const readsLocally = this.rules.leader.mayReadLocally({ ...view, commit: view.lastIndex, transferring: false });
    for (let k = 0; k < lengthOf(state.committed); k++) {
      const by = (state.committedBy >> (3 * k)) & 7;
      if (by < member.term && entryAt(member.log, k) !== entryAt(state.committed, k)) {
        return `LeaderCompleteness: leader ${NAMES[i]} lacks committed index ${k + 1}`;
      }
      if (readsLocally && by > member.term) return `StaleLocalRead: ${NAMES[i]} reads locally, index ${k + 1} is newer`;
    }
    const other = state.members[1 - i]!;
    if (this.rules.leader.isEngaged(view.leader, W) && other.role === Role.Leader && other.term > member.term) {
      return `EngagedLeader: ${NAMES[i]} is engaged while the other leads a higher term`;
    }
    return undefined;
  }

  /** The leader's volatile state as the rules know it. */
  private view(member: Member, i: number): CommitView {
    const wAcked = new Map<number, number>();
    if (member.acked > 0) wAcked.set(W, member.acked - 1);
    let termStart = member.length;
    while (termStart > 0 && termAt(member.log, termStart - 1) === member.term) termStart--;
    let epochStart = member.length;
    const entry = (member.term << 2) | member.epoch;
    while (epochStart > 0 && entryAt(member.log, epochStart - 1) === entry) epochStart--;
    const silent =
      epochStart === member.length && !this.rules.world.writesEpochChange(member.solo ? Mode.SOLO : Mode.PAIR);
    const leader: LeaderEpoch = {
      mode: member.solo ? Mode.SOLO : Mode.PAIR,
      epoch: member.epoch,
      epochStart: silent ? termStart + 1 : epochStart + 1,
      wAcked,
    };
    return {
      ...membersOf(i),
      leader,
      selfDurable: member.durable,
      lastIndex: member.length,
      termStart: termStart + 1,
      match: () => member.match,
    };
  }

  private store(member: Member, leader: LeaderEpoch): void {
    member.solo = leader.mode === Mode.SOLO ? 1 : 0;
    member.epoch = leader.epoch;
    const epoch = leader.wAcked.get(W);
    member.acked = epoch === undefined ? 0 : epoch + 1;
  }

  private memberSteps(state: State, i: number, emit: Emit): void {
    const { terms, entries, unsynced, losses } = this.bounds;
    const member = state.members[i]!;
    if (member.role !== Role.Leader && member.term < terms) emit(this.campaign(state, i), `timeout ${NAMES[i]}`);
    if (member.role !== Role.Follower || member.durable < member.length) {
      const next = cloneState(state);
      const restarted = next.members[i]!;
      restarted.role = Role.Follower;
      restarted.length = restarted.durable;
      restarted.log &= 2 ** (5 * restarted.durable) - 1;
      emit(next, `restart ${NAMES[i]}`);
    }
    if (losses && member.length > 0) {
      const left = this.rules.world.afterMemberLoss(member);
      if (left !== undefined) {
        const next = cloneState(state);
        next.members[i] = { ...left };
        emit(next, `${NAMES[i]} loses its disk`);
      }
    }
    const voted = (id: number): boolean => ((member.votes >> id) & 1) === 1;
    if (member.role === Role.Candidate && this.rules.leader.quorum(HALVES, voted)) {
      const next = cloneState(state);
      const leader = next.members[i]!;
      leader.role = Role.Leader;
      leader.match = 0;
      this.store(leader, this.rules.leader.elected(membersOf(i), voted, leader.length + 1));
      if (leader.length < entries) append(leader, !unsynced);
      emit(next, `lead ${NAMES[i]}`);
    }
    if (member.durable < member.length && member.role === Role.Leader) {
      const next = cloneState(state);
      next.members[i]!.durable = member.length;
      emit(next, `sync ${NAMES[i]}`);
    }
  }

  private campaign(state: State, i: number): State {
    const next = cloneState(state);
    const member = next.members[i]!;
    member.term++;
    member.role = Role.Candidate;
    member.vote = i + 1;
    member.votes = 1 << i;
    member.durable = member.length;
    const { term } = member;
    const a = lastTerm(member);
    send(next, pack({ kind: Kind.Vote, from: i, to: 1 - i, term, a, b: member.length, log: 0 }));
    send(
      next,
      pack({ kind: Kind.WitnessVote, from: i, to: W, term, a, b: this.rules.world.candidateEpoch(member), log: 0 }),
    );
    return next;
  }

  private leaderSteps(state: State, i: number, emit: Emit): void {
    const { entries, epochs, unsynced } = this.bounds;
    const rules = this.rules.leader;
    const member = state.members[i]!;
    const name = NAMES[i];
    const { term, length } = member;
    const view = this.view(member, i);
    if (length < entries) {
      const next = cloneState(state);
      append(next.members[i]!, !unsynced);
      emit(next, `propose ${name}`);
    }
    const message = pack({ kind: Kind.Append, from: i, to: 1 - i, term, a: 0, b: 0, log: member.log });
    if (length > member.match && !state.soup.includes(message)) {
      const next = cloneState(state);
      send(next, message);
      emit(next, `append ${name}`);
    }
    const mode = member.solo ? Mode.PAIR : Mode.SOLO;
    const writes = this.rules.world.writesEpochChange(mode);
    if (member.epoch < epochs && (length < entries || !writes)) {
      const next = cloneState(state);
      const changed = next.members[i]!;
      const { leader } = this.view(changed, i);
      rules.startEpoch(leader, mode, length + 1);
      this.store(changed, leader);
      if (writes) append(changed, !unsynced);
      emit(next, `${mode} ${name}`);
    }
    const engage = pack({ kind: Kind.Engage, from: i, to: W, term, a: member.epoch, b: 0, log: 0 });
    if (rules.mayEngage(view.leader, W, view.selfDurable) && !state.soup.includes(engage)) {
      const next = cloneState(state);
      send(next, engage);
      emit(next, `engage ${name}`);
    }
    const reached = rules.commitIndex(view);
    if (reached > 0) this.commit(state, i, reached, emit);
  }

  private commit(state: State, i: number, reached: number, emit: Emit): void {
    const member = state.members[i]!;
    const known = lengthOf(state.committed);
    let fault: string | undefined;
    for (let k = 0; k < Math.min(reached, known); k++) {
      if (entryAt(member.log, k) !== entryAt(state.committed, k)) {
        fault = `StateMachineSafety: index ${k + 1} committed twice with different entries`;
      }
    }
    if (reached <= known && fault === undefined) return;
    const next = cloneState(state);
    for (let k = known; k < reached; k++) {
      next.committed |= entryAt(member.log, k) << (5 * k);
      next.committedBy |= member.term << (3 * k);
    }
    emit(next, `commit ${NAMES[i]} to ${reached}`, fault);
  }

  private witnessSteps(state: State, emit: Emit): void {
    if (this.bounds.dead === W) return;
    if (state.witness !== state.disk && JSON.stringify(state.witness) !== JSON.stringify(state.disk)) {
      const next = cloneState(state);
      next.witness = state.disk;
      emit(next, "restart W");
    }
    if (this.bounds.losses && state.witness !== undefined && state.witness.term > 0) {
      const next = cloneState(state);
      next.witness = this.rules.world.afterWitnessLoss(state.witness);
      next.disk = next.witness;
      emit(next, "W loses its disk");
    }
  }

  private deliver(state: State, m: Message, emit: Emit): void {
    if (m.to === this.bounds.dead || m.from === this.bounds.dead) return;
    const next = cloneState(state);
    const label = m.to === W ? this.toWitness(next, m) : this.toMember(next, m);
    if (label !== undefined) emit(next, label);
  }

  private toWitness(state: State, m: Message): string | undefined {
    const { witness: rules, world: around } = this.rules;
    const record = rules.recordFor(state.witness, W);
    if (record === undefined) return undefined;
    const reply = { from: W, to: m.from, log: 0 };
    if (m.kind === Kind.WitnessVote) {
      const vote = { term: m.term, cand: m.from, lastTerm: m.a, lastEpoch: m.b, pre: false };
      const outcome = rules.onVote(record, vote);
      const { granted, term } = outcome.reply;
      state.witness = outcome.record;
      state.disk = around.diskAtReply(state.disk, outcome.record);
      if (granted) send(state, pack({ ...reply, kind: Kind.VoteReply, term, a: 0, b: 0 }));
      return `W ${granted ? "votes for" : "refuses"} ${NAMES[m.from]} in term ${m.term}`;
    }
    const outcome = rules.onEngage(record, { term: m.term, leader: m.from, epoch: m.a });
    const { ok, term, epoch } = outcome.reply;
    if (!ok && !this.bounds.refusals) return undefined;
    state.witness = outcome.record;
    state.disk = around.diskAtReply(state.disk, outcome.record);
    send(state, pack({ ...reply, kind: Kind.EngageReply, term, a: epoch, b: ok ? 1 : 0 }));
    return `W ${ok ? "engaged by" : "refuses to engage for"} ${NAMES[m.from]} at (${m.term},${m.a})`;
  }

  private toMember(state: State, m: Message): string | undefined {
    const member = state.members[m.to]!;
    if (m.term < member.term && m.kind !== Kind.EngageReply) return undefined;
    if (m.term > member.term) {
      member.term = m.term;
      member.role = Role.Follower;
      member.vote = 0;
    }
    switch (m.kind) {
      case Kind.Vote:
        return this.onVote(state, member, m);
      case Kind.VoteReply:
        if (member.role === Role.Candidate) member.votes |= 1 << m.from;
        return `vote of ${NAMES[m.from]} reaches ${NAMES[m.to]}`;
      case Kind.Append:
        return this.onAppend(state, member, m);
      case Kind.AppendReply:
        if (member.role === Role.Leader) member.match = Math.max(member.match, m.a);
        return `${NAMES[m.to]} learns that ${NAMES[m.from]} holds ${m.a}`;
      default:
        this.onEngageReply(member, m);
        return `engage reply (${m.term},${m.a}) reaches ${NAMES[m.to]}`;
    }
  }

  private onVote(state: State, member: Member, m: Message): string {
    const last = lastTerm(member);
    const upToDate = m.a > last || (m.a === last && m.b >= member.length);
    const granted = upToDate && (member.vote === 0 || member.vote === m.from + 1) && member.role !== Role.Leader;
    if (granted) {
      member.vote = m.from + 1;
      send(state, pack({ kind: Kind.VoteReply, from: m.to, to: m.from, term: m.term, a: 0, b: 0, log: 0 }));
    }
    return `${NAMES[m.to]} ${granted ? "votes for" : "refuses"} ${NAMES[m.from]} in term ${m.term}`;
  }

  private onAppend(state: State, member: Member, m: Message): string | undefined {
    if (member.role === Role.Leader) return undefined;
    member.role = Role.Follower;
    const length = lengthOf(m.log);
    let same = 0;
    while (same < length && same < member.length && entryAt(m.log, same) === entryAt(member.log, same)) same++;
    if (same < length) {
      member.log = m.log;
      member.length = length;
    }
    member.durable = member.length;
    send(state, pack({ kind: Kind.AppendReply, from: m.to, to: m.from, term: m.term, a: length, b: 0, log: 0 }));
    return `${NAMES[m.to]} appends up to ${length} from ${NAMES[m.from]}`;
  }

  private onEngageReply(member: Member, m: Message): void {
    if (member.role !== Role.Leader) return;
    const { leader } = this.view(member, m.to);
    if (!this.rules.leader.engageReplyCounts(leader, member.term, { term: m.term, epoch: m.a, ok: m.b === 1 })) return;
    this.rules.leader.engaged(leader, W);
    this.store(member, leader);
  }
}

function membersOf(self: number): Members {
  return { halves: HALVES, self, isWitness: (id) => id === W };
}
