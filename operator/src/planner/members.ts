// The way from one member set to another in steps that the leader accepts: a step replaces at most one full member,
// never removes the leader, and has a witness only beside exactly two voters. Growing or shrinking alone is one step
// (one to 2+1 and back with its witness), since joint consensus needs a majority of both sides all the while.
import type { MemberRole, MemberSet } from "./desired.ts";

export interface CurrentMember {
  role: MemberRole;
  /** False when the box came back with an empty disk: this member is lost, the box is a candidate for a new one. */
  same: boolean;
  caughtUp: boolean;
  active: boolean;
}

export type MemberStep =
  | { step: "none" }
  | { step: "propose"; members: MemberSet }
  | { step: "transfer"; to: string }
  | { step: "wait"; why: string };

/** The next step towards `target`, or none when the log has these members. */
export function nextStep(current: ReadonlyMap<string, CurrentMember>, target: MemberSet, leader: string): MemberStep {
  if (sameMembers(current, target)) return { step: "none" };
  const voters = votersOf(current);
  const wanted = [...target].filter(([, role]) => role === "voter").map(([box]) => box);
  const removed = voters.filter((box) => target.get(box) !== "voter");
  const added = wanted.filter((box) => !voters.includes(box));
  const staying = voters.filter((box) => target.get(box) === "voter");
  if (removed.includes(leader)) {
    if (staying.length > 0) return handOver(current, staying);
    // No voter stays. Bring one of the new ones in beside (or instead of) a voter that does not lead.
    const entering = added[0]!;
    if (voters.length === 1) return propose(grown(current, target, [leader, entering]));
    const leaving = voters.find((box) => box !== leader)!;
    return propose(grown(current, target, swapped(voters, leaving, entering)));
  }
  const single = removed.length <= 1 && added.length <= 1;
  if (removed.length === 0 || added.length === 0 || single) return propose(target);
  const next = swapped(voters, preferLost(current, removed), added[0]!);
  return propose(grown(current, target, next));
}

function propose(members: MemberSet): MemberStep {
  return { step: "propose", members };
}

function swapped(voters: readonly string[], leaving: string, entering: string): string[] {
  return [...voters.filter((box) => box !== leaving), entering];
}

/** A step on the way: these voters, the witness where it may stand, and every other member of the target as a learner. */
function grown(current: ReadonlyMap<string, CurrentMember>, target: MemberSet, voters: readonly string[]): MemberSet {
  const next = new Map<string, MemberRole>(voters.map((box) => [box, "voter"]));
  const witness = witnessOf(current) ?? witnessOf(target);
  if (voters.length === 2 && witness !== undefined && !next.has(witness)) next.set(witness, "witness");
  for (const [box, role] of target) if (role !== "witness" && !next.has(box)) next.set(box, "learner");
  return next;
}

function handOver(current: ReadonlyMap<string, CurrentMember>, staying: readonly string[]): MemberStep {
  const to = staying.find((box) => {
    const member = current.get(box)!;
    return member.active && member.caughtUp && member.same;
  });
  if (to !== undefined) return { step: "transfer", to };
  return { step: "wait", why: `the leader leaves, and none of ${staying.join(", ")} has caught up to take over` };
}

function preferLost(current: ReadonlyMap<string, CurrentMember>, boxes: readonly string[]): string {
  return boxes.find((box) => !current.get(box)!.active) ?? boxes[0]!;
}

function votersOf(members: ReadonlyMap<string, CurrentMember>): string[] {
  return [...members].filter(([, member]) => member.role === "voter").map(([box]) => box);
}

function witnessOf(members: ReadonlyMap<string, CurrentMember | MemberRole>): string | undefined {
  for (const [box, member] of members)
    if ((typeof member === "string" ? member : member.role) === "witness") return box;
  return undefined;
}

/** A member whose disk is another one now is not the same member. */
export function sameMembers(current: ReadonlyMap<string, CurrentMember>, target: MemberSet): boolean {
  if (current.size !== target.size) return false;
  for (const [box, member] of current) if (target.get(box) !== member.role || !member.same) return false;
  return true;
}
