// The next action for one log. At most one a round, since each may cost the log its leader or its quorum margin.
// Strengthening grows the membership first and then installs the mode; weakening installs the mode first: so at no
// moment does a mode promise more than the members can keep.

import { systemZone } from "@nexus-federation/node/tree/system-zone.ts";
import type { Action, MemberEntry } from "./actions.ts";
import { type Desired, type DesiredZone, type MemberSet, membersOf } from "./desired.ts";
import { declarationText, hasMembers } from "./members.ts";
import type { Observed, ObservedLog, ObservedRule } from "./observed.ts";
import { ruleOf, ruleText } from "./rules-plan.ts";

/** How much a mode promises. */
const strength: Record<string, number> = { eventual: 1, strong: 2, strong_ha: 3 };

export interface LogPlan {
  action?: Action;
  /** What it waits for, one clause; empty when there is nothing left to do. */
  waiting: string;
  /** The zone's rule, once the members are such that it may be in the map. */
  rule?: ObservedRule;
}

export function planZone(zone: DesiredZone, desired: Desired, observed: Observed): LogPlan {
  const target = membersOf(zone, desired);
  if (target === undefined) return { waiting: "its members are not declared" };
  const missing = unregistered(target, observed);
  const log = observed.logs.get(zone.name);
  const installed = observed.rules.find((rule) => rule.zone === zone.name);
  if (log === undefined) {
    if (installed !== undefined && installed.log > 0) return { waiting: "no member of its log answers" };
    if (missing.length > 0) return { waiting: notUp(missing) };
    const timing = desired.groups.get(zone.group)?.timing ?? "region";
    const rule = ruleOf(zone, desired, 0);
    const members = entriesOf(target);
    return {
      action: { type: "ensureZone", zone: zone.name, group: zone.group, members, timing, rule },
      waiting: "its log is being created",
    };
  }
  if (log.leader === "") return { waiting: "its log has no leader" };
  const rule = ruleOf(zone, desired, log.log);
  const installing = `mode ${zone.policy.mode} is being installed`;
  if (weakens(rule, log, installed)) return { waiting: installing, rule };
  const revision = Math.max(zone.revision, desired.groups.get(zone.group)?.revision ?? 0);
  const step = planMembers({ zone: zone.name, target, revision, missing }, log, observed);
  if (step.action || step.waiting !== "") return step;
  const done =
    installed !== undefined && ruleText(installed) === ruleText(rule) && (log.mode === "" || log.mode === rule.mode);
  return { waiting: done ? "" : installing, rule };
}

/** The log or its rule promises more than what is asked for now: a stronger mode, or more copies. */
function weakens(rule: ObservedRule, log: ObservedLog, installed: ObservedRule | undefined): boolean {
  const inForce = Math.max(strength[log.mode] ?? 0, strength[installed?.mode ?? ""] ?? 0);
  const wanted = strength[rule.mode] ?? 0;
  return wanted < inForce || (wanted === inForce && rule.copiesDeclared < (installed?.copiesDeclared ?? 0));
}

/** The system zone's log follows the system group's members. */
export function planSystemMembers(members: MemberSet, revision: number, observed: Observed): LogPlan {
  const log = observed.logs.get(systemZone);
  if (log === undefined || log.leader === "") return { waiting: "the system zone has no leader" };
  return planMembers(
    { zone: systemZone, target: members, revision, missing: unregistered(members, observed) },
    log,
    observed,
  );
}

interface MemberGoal {
  zone: string;
  target: MemberSet;
  /** As declared; 0 in one cluster, where each new declaration takes the next number. */
  revision: number;
  /** Boxes of the target that cannot be added yet. */
  missing: readonly string[];
}

/**
 * Declares the members; the leader brings its log there in steps (learner, caught up, joint, hand-over) and whoever leads
 * next goes on with them. Nothing is declared twice, and a declaration that is still on its way is replaced by a newer one.
 */
function planMembers(goal: MemberGoal, log: ObservedLog, observed: Observed): LogPlan {
  const hash = declarationText(goal.target, observed.registered);
  const reached = !log.joint && hasMembers(log, goal.target, observed.registered);
  if (log.acceptedHash === hash || (reached && log.acceptedHash === ""))
    return { waiting: reached ? "" : changing(log.acceptedWaits) };
  if (log.joint) return { waiting: "a change of its members is under way" };
  const absent = goal.missing.filter((box) => !log.members.has(box));
  if (absent.length > 0) return { waiting: notUp(absent) };
  const action: Action = {
    type: "proposeMembership",
    zone: goal.zone,
    leader: log.leader,
    members: entriesOf(goal.target),
    revision: goal.revision > 0 ? goal.revision : log.acceptedRevision + 1,
    hash,
    expectedConfigIndex: log.configIndex,
  };
  return { action, waiting: "its members are changing" };
}

function changing(waitsFor: string): string {
  return `its members are changing${waitsFor === "" ? "" : `: ${waitsFor}`}`;
}

function unregistered(members: MemberSet, observed: Observed): string[] {
  return [...members.keys()].filter((box) => !observed.registered.has(box));
}

export function entriesOf(members: MemberSet): MemberEntry[] {
  return [...members].map(([box, role]) => ({ box, role })).sort((a, b) => (a.box < b.box ? -1 : 1));
}

function notUp(boxes: readonly string[]): string {
  return boxes.length === 1 ? `box ${boxes[0]} has not come up yet` : `boxes ${boxes.join(", ")} have not come up yet`;
}
