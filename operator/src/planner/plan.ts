// The planner: what to do next so that the world becomes what the resources ask for. The problem: dozens of objects
// change in any order, boxes die in the middle of every step, several operators may act at once. Why not scripts of
// steps: a script that was interrupted does not know where it stands. The sketch: a pure, total function from what is
// desired and what is observed to a list of actions, called again after every change; each action is idempotent and
// guarded, a converged world gives an empty list, and at most one disruptive action a log is in the list. Faults between
// objects become conditions and stop only what they touch. Local processes and Kubernetes execute the same actions.
import { systemZone } from "@nexus-federation/node/tree/system-zone.ts";
import type { Action } from "./actions.ts";
import { type Desired, type DesiredGroup, systemGroupOf } from "./desired.ts";
import { disruptionActions, unguardedActions } from "./disruptions.ts";
import { federationKey, referenceFaults } from "./faults.ts";
import { lostZoneActions } from "./lost-zones.ts";
import type { Observed, ObservedRule } from "./observed.ts";
import { recoveryActions } from "./recovery-plan.ts";
import { conditionActions, type Progress } from "./report.ts";
import { nextRules, sameRules, withoutRefused } from "./rules-plan.ts";
import { entriesOf, type LogPlan, planSystemMembers, planZone } from "./zone-plan.ts";

/** `nowMs` is wall time, for retention. */
export function plan(desired: Desired, observed: Observed, nowMs: number): Action[] {
  const systemLog = observed.logs.get(systemZone);
  const faults = referenceFaults(desired, observed.rules, systemLog);
  for (const [key, fault] of observed.obstacles ?? []) faults.set(key, [...(faults.get(key) ?? []), fault]);
  const waiting = new Map<string, string>(observed.waits);
  const actions = [...workloadActions(desired, observed), ...unguardedActions(desired, observed)];
  const system = systemGroupOf(desired, systemLog?.members);
  if (system && !observed.bootstrapped)
    actions.push(...bootstrapActions(system, desired, { observed, faults, waiting }));
  if (system && observed.bootstrapped && !observed.systemServes)
    waiting.set(federationKey, "the system zone has no leader");
  actions.push(...recoveryActions(desired, observed, { faults, waiting }));
  if (system && observed.systemServes) {
    actions.push(...registerActions(desired, observed, waiting), ...leavingBoxes(desired, observed));
    const { busy, ready } = zoneActions(desired, observed, { faults, waiting, system, actions });
    actions.push(...lostZoneActions(desired, observed, { faults, waiting }));
    const { rules, refused } = withoutRefused(nextRules(desired, observed, ready), observed);
    for (const [zone, { message }] of refused)
      faults.set(`ConsensusZone/${zone}`, [{ reason: "RuleRefused", message, path: ["spec", "pathPattern"] }]);
    if (!observed.rulesPending && !sameRules(rules, observed.rules))
      actions.push({ type: "installRules", expectedEpoch: observed.epoch, rules });
    actions.push(...drainActions(desired, observed, busy));
    actions.push(...disruptionActions(desired, observed, { holder: desired.operator, busy, waiting }));
    actions.push(...expiredZones(desired, observed, nowMs));
  }
  actions.push(...conditionActions(desired, observed, { faults, waiting }));
  return actions;
}

function workloadActions(desired: Desired, observed: Observed): Action[] {
  const actions: Action[] = [];
  const named = namedBoxes(desired, observed);
  for (const box of desired.boxes.values()) {
    if (box.foreign) continue;
    const exists = observed.workloads.get(box.name)?.exists === true;
    const wanted = !box.deleted || named.has(box.name);
    if (wanted && !exists) actions.push({ type: "ensureWorkload", box: box.name, role: box.role, region: box.region });
    if (!wanted && exists) actions.push({ type: "removeWorkload", box: box.name });
  }
  return actions;
}

/**
 * Boxes that a log's configuration, a group or an active zone names: their workload stays. A log or group whose members
 * are all deleted holds none of them: it ends with them, once the rule of its zone is out, which takes its own word.
 */
export function namedBoxes(desired: Desired, observed: Observed): Set<string> {
  const named = new Set<string>();
  const add = (boxes: readonly string[]) => {
    if (boxes.some((box) => desired.boxes.get(box)?.deleted !== true)) for (const box of boxes) named.add(box);
  };
  for (const log of observed.logs.values()) add([...log.members.keys()]);
  for (const zone of leavingZones(desired, observed))
    for (const box of observed.logs.get(zone)?.members.keys() ?? []) named.add(box);
  for (const group of desired.groups.values()) add([...group.members.keys()]);
  for (const zone of desired.zones.values())
    if (!zone.retired) add([zone.authorityBox, ...zone.replicas].filter((box) => box !== ""));
  return named;
}

/** Retired zones whose rule is still in force, in a federation that goes on. */
function leavingZones(desired: Desired, observed: Observed): string[] {
  const system = [...(observed.logs.get(systemZone)?.members.keys() ?? [])];
  if (system.every((box) => desired.boxes.get(box)?.deleted === true)) return [];
  const inForce = observed.rules.filter((rule) => rule.state !== "detached").map((rule) => rule.zone);
  return inForce.filter((zone) => desired.zones.get(zone)?.retired === true);
}

interface BootstrapWorld extends Progress {
  observed: Observed;
}

function bootstrapActions(system: DesiredGroup, desired: Desired, world: BootstrapWorld): Action[] {
  const { observed, faults, waiting } = world;
  const wait = (why: string): Action[] => {
    waiting.set(federationKey, why);
    return [];
  };
  if (faults.has(`RaftGroup/${system.name}`)) return wait(`RaftGroup ${system.name} is stalled`);
  if (system.members.get(system.bootstrapBox) !== "voter") {
    const message = `bootstrapBox ${system.bootstrapBox} is not a Voter of the system group ${system.name}; the first entry is written by a Voter.`;
    faults.set(`RaftGroup/${system.name}`, [{ reason: "BootstrapBoxNotVoter", message }]);
    return wait("the system group cannot start");
  }
  const silent: string[] = [];
  for (const [box, role] of system.members) {
    const up =
      role === "witness" ? observed.workloads.get(box)?.running === true : observed.boxes.get(box)?.state === "empty";
    if (!up) silent.push(box);
  }
  if (silent.length > 0) return wait(`waiting for ${silent.join(", ")} of the system group`);
  if (observed.knownFederation !== "") {
    const message = `Federation ${observed.knownFederation} was started from here, but no box has its data any more; bring a disk back or restore a backup. A new, empty federation is never made in its place.`;
    faults.set(federationKey, [...(faults.get(federationKey) ?? []), { reason: "DataLost", message }]);
    return [];
  }
  waiting.set(federationKey, "the system zone is being started");
  const members = entriesOf(system.members);
  return desired.boxes.has(system.bootstrapBox)
    ? [{ type: "bootstrap", on: system.bootstrapBox, members, timing: system.timing }]
    : [];
}

/** A box that came back with another disk is taken in only while no log needs the former one. */
function registerActions(desired: Desired, observed: Observed, waiting: Map<string, string>): Action[] {
  const actions: Action[] = [];
  for (const box of desired.boxes.values()) {
    const workload = observed.workloads.get(box.name);
    const self = observed.boxes.get(box.name);
    const reachable = box.role === "Witness" ? workload?.running === true : self !== undefined;
    if (box.deleted || box.foreign || !workload || !reachable) continue;
    const known = observed.registered.get(box.name);
    const same =
      known !== undefined &&
      (box.role === "Witness" || known.incarnation === self?.incarnation) &&
      known.region === box.region &&
      known.peerEndpoint === workload.peerEndpoint &&
      known.clientEndpoint === workload.clientEndpoint;
    if (same) continue;
    const otherDisk = known !== undefined && box.role === "Data" && known.incarnation !== self?.incarnation;
    const needed = otherDisk ? logsNeeding(box.name, observed) : [];
    if (needed.length === 0) actions.push({ type: "registerBox", box: box.name });
    else
      waiting.set(
        `Box/${box.name}`,
        `it came up with another disk than it is registered with, and ${needed.join(", ")} cannot go on without the former one: bring that disk back`,
      );
  }
  return actions;
}

/** Deleted boxes that run no more and that nothing names: the federation is to know them no longer. */
function leavingBoxes(desired: Desired, observed: Observed): Action[] {
  const held = new Set([...namedBoxes(desired, observed), ...observed.rules.flatMap((rule) => rule.members)]);
  for (const log of observed.logs.values()) for (const box of log.members.keys()) held.add(box);
  return [...desired.boxes.values()].flatMap(({ name, deleted, foreign }) => {
    const known = observed.registered.get(name);
    const left = deleted && !foreign && observed.workloads.get(name)?.exists !== true;
    return left && known && !held.has(name) ? [{ type: "removeBox", box: name, incarnation: known.incarnation }] : [];
  });
}

/**
 * Zones whose log has the box as a voter and no leader, or is not seen at all: the box's former disk may hold their
 * last copy.
 */
function logsNeeding(box: string, observed: Observed): string[] {
  const stopped = [...observed.logs].filter(([, log]) => log.leader === "" && log.members.get(box)?.role === "voter");
  const unseen = observed.rules.filter((rule) => rule.members.includes(box) && !observed.logs.has(rule.zone));
  return [...stopped.map(([zone]) => zone), ...unseen.map((rule) => rule.zone)];
}

interface ZoneWorld extends Progress {
  system: DesiredGroup;
  /** What the zones add to. */
  actions: Action[];
}

/** Adds at most one action a log; answers the logs that got one, and the rules that may be in the map. */
function zoneActions(desired: Desired, observed: Observed, world: ZoneWorld) {
  const busy = new Set<string>();
  const ready = new Map<string, ObservedRule>();
  const place = (key: string, zone: string, { action, waiting, rule }: LogPlan) => {
    if (waiting !== "") world.waiting.set(key, waiting);
    if (rule) ready.set(zone, rule);
    if (!action) return;
    world.actions.push(action);
    busy.add(zone);
  };
  const { system } = world;
  if (!world.faults.has(`RaftGroup/${system.name}`))
    place(`RaftGroup/${system.name}`, systemZone, planSystemMembers(system.members, system.revision, observed));
  for (const zone of desired.zones.values()) {
    const key = `ConsensusZone/${zone.name}`;
    if (!zone.retired && !world.faults.has(key)) place(key, zone.name, planZone(zone, desired, observed));
  }
  return { busy, ready };
}

/** Draining boxes hand over what they lead, one step a log and never beside another action of that log. */
function drainActions(desired: Desired, observed: Observed, busy: ReadonlySet<string>): Action[] {
  const actions: Action[] = [];
  for (const box of desired.boxes.values()) {
    const state = observed.boxes.get(box.name)?.state;
    if (box.role === "Witness" || state === undefined) continue;
    if (box.drain !== (state === "draining") && state !== "empty")
      actions.push({ type: "setDrain", box: box.name, on: box.drain });
    if (!box.drain) continue;
    for (const [zone, log] of observed.logs) {
      if (log.leader !== box.name || log.joint || log.witnessMode === "SOLO" || busy.has(zone)) continue;
      const to = [...log.members].find(
        ([name, m]) =>
          name !== box.name && m.role === "voter" && m.active && m.caughtUp && !desired.boxes.get(name)?.drain,
      );
      if (to) actions.push({ type: "transfer", zone, from: box.name, to: to[0] });
    }
  }
  return actions;
}

function expiredZones(desired: Desired, observed: Observed, nowMs: number): Action[] {
  const actions: Action[] = [];
  for (const zone of desired.zones.values()) {
    if (!zone.retired || zone.retiredAtMs === 0 || nowMs < zone.retiredAtMs + zone.retentionMs) continue;
    const bound = observed.rules.some((rule) => rule.zone === zone.name && rule.state !== "detached");
    if (observed.logs.has(zone.name) && !bound && !observed.rulesPending)
      actions.push({ type: "destroyZone", zone: zone.name });
  }
  return actions;
}
