import { type Desired, type DesiredZone, membersOf } from "./desired.ts";
import { type Fault, normalPattern } from "./faults.ts";
import type { Observed, ObservedRule } from "./observed.ts";

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

/** The policy part of the rule is what the zone's own log must hold too. */
export function policyText(rule: ObservedRule): string {
  return JSON.stringify([rule.mode, rule.locks, rule.copiesDeclared]);
}

/**
 * The map that should be in force next: rules of absent zones stay as they are, retired zones lose theirs, and a zone
 * gets its new rule once its log holds that mode (never before: a rule must not promise what the log does not do).
 */
export function nextRules(
  desired: Desired,
  observed: Observed,
  faults: ReadonlyMap<string, readonly Fault[]>,
): ObservedRule[] {
  const rules: ObservedRule[] = [];
  const placed = new Set<string>();
  for (const rule of observed.rules) {
    if (rule.state === "detached") continue;
    const zone = desired.zones.get(rule.zone);
    if (zone?.retired) continue;
    placed.add(rule.zone);
    rules.push((zone && readyRule(zone, desired, { observed, faults })) ?? rule);
  }
  for (const zone of desired.zones.values()) {
    if (zone.retired || placed.has(zone.name)) continue;
    const rule = readyRule(zone, desired, { observed, faults });
    if (rule) rules.push(rule);
  }
  return rules;
}

function readyRule(
  zone: DesiredZone,
  desired: Desired,
  world: { observed: Observed; faults: ReadonlyMap<string, readonly Fault[]> },
): ObservedRule | undefined {
  if (world.faults.has(`ConsensusZone/${zone.name}`)) return undefined;
  const log = world.observed.logs.get(zone.name);
  return log !== undefined && log.leader !== "" && log.mode === zone.policy.mode
    ? ruleOf(zone, desired, log.log)
    : undefined;
}

export function sameRules(a: readonly ObservedRule[], b: readonly ObservedRule[]): boolean {
  const active = (rules: readonly ObservedRule[]) =>
    rules
      .filter((rule) => rule.state !== "detached")
      .map(ruleText)
      .sort();
  return JSON.stringify(active(a)) === JSON.stringify(active(b));
}
