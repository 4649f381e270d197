import type { DeclaredReplica, GroupConfig, MembershipTarget } from "@nexus-federation/proto/raft.ts";
import type { LogMember } from "@nexus-federation/proto/records.ts";
import { equalBytes } from "../base/bytes.ts";
import { membershipRefusal } from "../raft/membership.ts";
import type { Mode } from "../raft/pairsolo.ts";
import type { ConfChangeSingle } from "../raft/types.ts";
import { confStateOf, isJoint } from "./config.ts";
import { declaredMax } from "./config-bytes.ts";

// From where a log's members stand to what was declared, one safe step at a time. A function of what is, so that any
// leader, after any crash, goes on where the last one stopped.

export interface MembershipState {
  config: GroupConfig;
  /** Replica id of the leader, which plans. */
  leader: number;
  mode: Mode;
  /** A change is in the log and not yet applied. */
  changing: boolean;
  /** Replica ids that lost their data (full members) or their record (witnesses). */
  lost: ReadonlySet<number>;
  /** Incarnation that a witness box drew for this log, not yet in the configuration. */
  drawn: ReadonlyMap<string, Uint8Array>;
  caughtUp(replica: number): boolean;
}

export type MembershipStep =
  | { kind: "done" }
  | { kind: "wait"; reason: string }
  | { kind: "join-witness"; box: string }
  | { kind: "transfer"; to: number }
  | { kind: "change"; changes: ConfChangeSingle[]; members: LogMember[]; nextReplica: number };

/** Why a declaration can never be reached, as a sentence; undefined when it can. */
export function targetRefusal(config: GroupConfig, members: readonly DeclaredReplica[]): string | undefined {
  const count = (role: string) => members.filter((member) => member.role === role).length;
  if (members.length > declaredMax) return `${members.length} members are declared, a log has at most ${declaredMax}.`;
  const boxes = new Set(members.map((member) => member.box));
  if (boxes.size !== members.length) return "A box is named twice; each box holds one replica of a log.";
  for (const { box, role, incarnation } of members) {
    if (!["voter", "learner", "witness"].includes(role)) return `Role ${role} of ${box} is unknown.`;
    if (role !== "witness" && incarnation.length !== 16) return `The incarnation of box ${box} is not known.`;
    if (config.banned.some((banned) => equalBytes(banned, incarnation))) return `Box ${box} is banned from this log.`;
  }
  const voters = count("voter");
  if (voters === 0) return "A group needs at least one full member.";
  if (count("witness") > 1) return "A group has at most one witness.";
  if (count("witness") === 1 && voters !== 2) {
    return `A witness stands beside exactly two full members, not ${voters}.`;
  }
  if (count("witness") === 0 && voters === 2 && config.witnesses.length > 0 && config.voters.length === 3) {
    return "Two full members without a witness stop at the first loss; keep the witness or remove a member.";
  }
  return undefined;
}

export function nextStep(state: MembershipState, target: MembershipTarget | undefined): MembershipStep {
  const { config, changing } = state;
  if (changing || isJoint(config)) return { kind: "wait", reason: "a configuration change is under way" };
  const wanted = target === undefined || target.failure !== "" ? asDeclared(config) : target.members;
  const plan = matched(state, wanted);
  return addLearner(state, plan) ?? moveVoters(state, plan) ?? dropLearner(state, plan) ?? { kind: "done" };
}

/**
 * What there is, taken as a wish: so a member that lost its data is replaced although nothing was declared. A learner in
 * a box of a voter is its successor, and no wish of its own.
 */
function asDeclared({ members }: GroupConfig): DeclaredReplica[] {
  const voting = new Set(members.filter((one) => one.role === "voter").map((one) => one.box));
  const wishes = members.filter(({ box, role }) => role !== "learner" || !voting.has(box));
  return wishes.map(({ box, role, incarnation }) => ({ box, role, incarnation }));
}

interface Plan {
  wanted: readonly DeclaredReplica[];
  /** Replica ids that stand for a wanted full member, by role wanted. */
  voters: number[];
  learners: number[];
  /** Wanted full members that no replica stands for. */
  missing: DeclaredReplica[];
  witness: { box: string; replica: number | undefined } | undefined;
}

function matched({ config, lost }: MembershipState, wanted: readonly DeclaredReplica[]): Plan {
  const plan: Plan = { wanted, voters: [], learners: [], missing: [], witness: undefined };
  for (const want of wanted) {
    if (want.role === "witness") {
      const member = config.members.find((one) => one.role === "witness" && one.box === want.box);
      const replica = member === undefined || lost.has(member.replica) ? undefined : member.replica;
      plan.witness = { box: want.box, replica };
      continue;
    }
    const stands = config.members.filter((one) => isFor(one, want) && !lost.has(one.replica));
    const replica = stands.at(-1)?.replica;
    if (replica === undefined) plan.missing.push(want);
    else if (want.role === "voter") plan.voters.push(replica);
    else plan.learners.push(replica);
  }
  return plan;
}

function isFor(member: LogMember, want: DeclaredReplica): boolean {
  return member.role !== "witness" && member.box === want.box && equalBytes(member.incarnation, want.incarnation);
}

/** New full members come as learners, one at a time, under an id that was never used. */
function addLearner({ config }: MembershipState, plan: Plan): MembershipStep | undefined {
  const [want] = plan.missing;
  if (want === undefined) return undefined;
  const replica = config.nextReplica;
  const member = { replica, box: want.box, incarnation: Buffer.from(want.incarnation), role: "learner" };
  return {
    kind: "change",
    changes: [{ type: "ConfChangeAddLearnerNode", nodeId: replica }],
    members: [member],
    nextReplica: replica + 1,
  };
}

function moveVoters(state: MembershipState, plan: Plan): MembershipStep | undefined {
  const { config } = state;
  const full = config.voters.filter((id) => !config.witnesses.includes(id));
  const joining = plan.voters.filter((id) => !full.includes(id));
  const leaving = full.filter((id) => !plan.voters.includes(id));
  const oldWitnesses = config.witnesses.filter((id) => id !== plan.witness?.replica);
  const newWitness = plan.witness !== undefined && plan.witness.replica === undefined ? plan.witness.box : undefined;
  if (joining.length + leaving.length + oldWitnesses.length === 0 && newWitness === undefined) return undefined;

  const late = joining.find((id) => !state.caughtUp(id));
  if (late !== undefined) return { kind: "wait", reason: `replica ${late} has not caught up yet` };
  const drawn = newWitness === undefined ? undefined : state.drawn.get(newWitness);
  if (newWitness !== undefined && drawn === undefined) return { kind: "join-witness", box: newWitness };

  const step = firstAllowed(state, { plan, joining, leaving, oldWitnesses, witnessed: drawn !== undefined });
  if (step.changes === undefined) return transferAway(state, plan, leaving) ?? { kind: "wait", reason: step.reason };
  const members: LogMember[] = [];
  let { nextReplica } = config;
  for (const { type } of step.changes) {
    if (type !== "ConfChangeAddWitness" || newWitness === undefined || drawn === undefined) continue;
    members.push({ replica: nextReplica++, box: newWitness, incarnation: Buffer.from(drawn), role: "witness" });
  }
  return { kind: "change", changes: step.changes, members, nextReplica };
}

interface Moves {
  plan: Plan;
  joining: number[];
  leaving: number[];
  oldWitnesses: number[];
  witnessed: boolean;
}

/** The largest step that the rules allow: everything at once, else one full member replaced, added or removed. */
function firstAllowed(
  state: MembershipState,
  moves: Moves,
): { changes: ConfChangeSingle[] | undefined; reason: string } {
  const { config, leader } = state;
  const view = { conf: confStateOf(config), leader, mode: state.mode, caughtUp: state.caughtUp };
  let reason = "";
  for (const changes of candidates(config, leader, moves)) {
    const refusal = membershipRefusal(view, changes);
    if (refusal === undefined) return { changes, reason: "" };
    if (reason === "") reason = refusal;
  }
  return { changes: undefined, reason };
}

function* candidates(config: GroupConfig, leader: number, moves: Moves): Iterable<ConfChangeSingle[]> {
  const { plan, joining, leaving, oldWitnesses, witnessed } = moves;
  const witnessChanges: ConfChangeSingle[] = [];
  for (const nodeId of oldWitnesses) witnessChanges.push({ type: "ConfChangeRemoveNode", nodeId });
  if (witnessed) witnessChanges.push({ type: "ConfChangeAddWitness", nodeId: config.nextReplica });
  const changes = (join: number[], leave: number[], witnesses: ConfChangeSingle[]): ConfChangeSingle[] => [
    ...join.map((nodeId): ConfChangeSingle => ({ type: "ConfChangeAddNode", nodeId })),
    ...leave.map(
      (nodeId): ConfChangeSingle => ({
        type: plan.learners.includes(nodeId) ? "ConfChangeAddLearnerNode" : "ConfChangeRemoveNode",
        nodeId,
      }),
    ),
    ...witnesses,
  ];
  // A member that is replaced because it leads is not in the way of the others.
  const removable = leaving.filter((id) => id !== leader);
  const joins = [joining, joining.slice(0, 1), []];
  const leaves = [leaving, removable, removable.slice(0, 1), []];
  for (const witnesses of witnessChanges.length > 0 ? [witnessChanges, []] : [[]]) {
    for (const join of joins) {
      for (const leave of leaves) {
        if (join.length + leave.length + witnesses.length > 0) yield changes(join, leave, witnesses);
      }
    }
  }
}

/** A leader that is to leave hands over to a voter that stays. */
function transferAway(state: MembershipState, plan: Plan, leaving: number[]): MembershipStep | undefined {
  if (!leaving.includes(state.leader)) return undefined;
  const full = state.config.voters.filter((id) => !state.config.witnesses.includes(id));
  const to = full.find((id) => plan.voters.includes(id) && state.caughtUp(id));
  return to === undefined ? undefined : { kind: "transfer", to };
}

function dropLearner({ config }: MembershipState, plan: Plan): MembershipStep | undefined {
  const extra = config.learners.find((id) => !plan.learners.includes(id) && !plan.voters.includes(id));
  if (extra === undefined) return undefined;
  return {
    kind: "change",
    changes: [{ type: "ConfChangeRemoveNode", nodeId: extra }],
    members: [],
    nextReplica: config.nextReplica,
  };
}
