import type { Operation } from "@nexus-federation/proto/command.ts";
import type { ZoneRule } from "@nexus-federation/proto/records.ts";
import { type Bounds, boundsOf } from "../tree/rules.ts";

/** One command of a hand-over in one zone. Repeating it changes nothing. */
export interface HandoverStep {
  zone: string;
  operation: Operation;
  /** Zone whose rule asks for the step: when it is refused, that rule is what cannot be. */
  cause: string;
}

const nothing: Bounds = { pattern: "", exclusions: [] };

/**
 * What must be done, in this order, so that no path is ever served by two zones: first those that lose give up, then
 * those that gain take over, then modes and lock policies change.
 */
export function planHandover(active: readonly ZoneRule[], next: readonly ZoneRule[], epoch: number): HandoverStep[] {
  const lose: HandoverStep[] = [];
  const gain: HandoverStep[] = [];
  const [held, wanted] = [boundsOf(active), boundsOf(next)];
  const binds = new Map([...wanted].map(([zone, { pattern }]) => [pattern, zone]));
  for (const zone of zonesOf(active, next)) {
    const before = held.get(zone) ?? nothing;
    const after = wanted.get(zone) ?? nothing;
    if (after.pattern === "") {
      if (before.pattern !== "") lose.push(ownStep(zone, nothing, epoch));
      continue;
    }
    if (before.pattern !== "") {
      for (const pattern of after.exclusions) {
        if (!before.exclusions.includes(pattern))
          lose.push({ ...cedeStep(zone, pattern, epoch), cause: binds.get(pattern) ?? zone });
      }
    }
    if (!sameHolding(before, after)) gain.push(ownStep(zone, after, epoch));
  }
  return [...lose, ...gain, ...policySteps(active, next, epoch)];
}

/**
 * Gives every zone back what it owned under the active map, whatever part of the hand-over was done: here too, those that
 * gained give up before those that lost take over.
 */
export function planReturn(active: readonly ZoneRule[], next: readonly ZoneRule[], epoch: number): HandoverStep[] {
  const lose: HandoverStep[] = [];
  const gain: HandoverStep[] = [];
  const [held, wanted] = [boundsOf(active), boundsOf(next)];
  for (const zone of zonesOf(active, next)) {
    const before = held.get(zone) ?? nothing;
    const after = wanted.get(zone) ?? nothing;
    if (sameHolding(before, after)) continue;
    if (before.pattern !== "" && after.pattern === before.pattern) {
      for (const pattern of before.exclusions)
        if (!after.exclusions.includes(pattern)) lose.push(cedeStep(zone, pattern, epoch));
    }
    (before.pattern === "" ? lose : gain).push(ownStep(zone, before, epoch));
  }
  return [...lose, ...gain, ...policySteps(next, active, epoch)];
}

function policySteps(active: readonly ZoneRule[], next: readonly ZoneRule[], epoch: number): HandoverStep[] {
  const steps: HandoverStep[] = [];
  const former = new Map(active.map((rule) => [rule.zone, rule]));
  for (const rule of next) {
    const before = former.get(rule.zone);
    const same =
      before?.mode === rule.mode && before.locks === rule.locks && before.copiesDeclared === rule.copiesDeclared;
    if (!same) steps.push(policyStep(rule, epoch));
  }
  return steps;
}

function zonesOf(...maps: (readonly ZoneRule[])[]): string[] {
  return [...new Set(maps.flatMap((rules) => rules.map((rule) => rule.zone)))];
}

function sameHolding(a: Bounds, b: Bounds): boolean {
  return a.pattern === b.pattern && a.exclusions.join("\n") === b.exclusions.join("\n");
}

function ownStep(zone: string, { pattern, exclusions }: Bounds, epoch: number): HandoverStep {
  return { zone, cause: zone, operation: { op: { $case: "own", value: { pattern, exclusions, epoch } } } };
}
function cedeStep(zone: string, pattern: string, epoch: number): HandoverStep {
  return { zone, cause: zone, operation: { op: { $case: "cede", value: { pattern, epoch } } } };
}
function policyStep(rule: ZoneRule, epoch: number): HandoverStep {
  const value = {
    mode: rule.mode,
    locks: rule.locks,
    copiesDeclared: rule.copiesDeclared,
    acceptedRevision: 0,
    acceptedHash: "",
    epoch,
  };
  return { zone: rule.zone, cause: rule.zone, operation: { op: { $case: "setPolicy", value } } };
}
