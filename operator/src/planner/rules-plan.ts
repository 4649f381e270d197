import { type Desired, type DesiredZone, membersOf } from "./desired.ts";
import { normalPattern } from "./faults.ts";
import { stuckZones } from "./lost-zones.ts";
import type { Observed, ObservedRule, RefusedRule } from "./observed.ts";

/** The rule that a zone asks for. */
export function ruleOf(zone: DesiredZone, desired: Desired, log: number): ObservedRule {
  const voters = [...(membersOf(zone, desired) ?? [])].filter(([, role]) => role === "voter").length;
  const { policy } = zone;
  return {
    zone: zone.name,
    pattern: normalPattern(zone.pattern),
    log,
    mode: policy.mode,
    writers: policy.writers,
    locks: policy.locks,
    readPreference: policy.readPreference,
    writeConcern: policy.writeConcern,
    staleReadMaxAgeMs: policy.staleReadMaxAgeMs,
    regions: policy.regions,
    copiesDeclared: policy.mode === "strong_ha" ? voters : 1,
    state: "active",
    generation: 0,
    members: [],
  };
}

/** One text for equal rules. */
export function ruleText(rule: ObservedRule): string {
  const { zone, log, mode, writers, locks, readPreference, writeConcern, staleReadMaxAgeMs, copiesDeclared } = rule;
  const regions = [...rule.regions].sort();
  const pattern = normalPattern(rule.pattern);
  return JSON.stringify([
    zone,
    pattern,
    log,
    mode,
    writers,
    locks,
    readPreference,
    writeConcern,
    staleReadMaxAgeMs,
    copiesDeclared,
    regions,
  ]);
}

/**
 * The map that should be in force next: rules of absent zones stay as they are, retired zones lose theirs once their log
 * can give their paths up, and a zone gets its new rule once its members allow it (`ready`).
 */
export function nextRules(
  desired: Desired,
  observed: Observed,
  ready: ReadonlyMap<string, ObservedRule>,
): ObservedRule[] {
  const rules: ObservedRule[] = [];
  const placed = new Set<string>();
  const stuck = stuckZones(desired, observed);
  for (const rule of observed.rules) {
    if (rule.state === "detached") continue;
    if (desired.zones.get(rule.zone)?.retired && !stuck.has(rule.zone)) continue;
    placed.add(rule.zone);
    rules.push(ready.get(rule.zone) ?? rule);
  }
  for (const [zone, rule] of ready) if (!placed.has(zone)) rules.push(rule);
  return rules;
}

export interface RulesPlan {
  rules: ObservedRule[];
  /** Zones whose rule stays as it is, since what they ask for was refused. */
  refused: ReadonlyMap<string, RefusedRule>;
}

/**
 * The wanted rules without those that were refused, so that one that cannot be keeps no other from being installed. A
 * refused one is asked for again when it is due and nothing else is left to install, one at a time.
 */
export function withoutRefused(wanted: readonly ObservedRule[], observed: Observed): RulesPlan {
  const refused = new Map<string, RefusedRule>();
  for (const [zone, answer] of observed.refusedRules ?? [])
    if (textIn(wanted, zone) === answer.text && textIn(observed.rules, zone) !== answer.text) refused.set(zone, answer);
  const but = (allowed: string) => {
    const held = (zone: string) => zone !== allowed && refused.has(zone);
    const kept = observed.rules.filter((rule) => rule.state !== "detached" && held(rule.zone));
    return [...wanted.filter((rule) => !held(rule.zone)), ...kept];
  };
  const rules = but("");
  const due = [...refused].find(([, answer]) => answer.due);
  return { rules: due && sameRules(rules, observed.rules) ? but(due[0]) : rules, refused };
}

/** Text of the zone's rule, empty when it has none. */
export function textIn(rules: readonly ObservedRule[], zone: string): string {
  const rule = rules.find((each) => each.zone === zone && each.state !== "detached");
  return rule ? ruleText(rule) : "";
}

export function sameRules(a: readonly ObservedRule[], b: readonly ObservedRule[]): boolean {
  const active = (rules: readonly ObservedRule[]) =>
    rules
      .filter((rule) => rule.state !== "detached")
      .map(ruleText)
      .sort();
  return JSON.stringify(active(a)) === JSON.stringify(active(b));
}
