// Conditions of every object, and those that changed as actions.
import { systemZone } from "@nexus-federation/node/tree/system-zone.ts";
import type { Condition } from "../api/conditions.ts";
import type { Action } from "./actions.ts";
import {
  type Desired,
  type DesiredBox,
  type DesiredGroup,
  type DesiredZone,
  type MemberSet,
  membersOf,
  systemGroupOf,
} from "./desired.ts";
import { type Fault, federationKey } from "./faults.ts";
import type { Observed, ObservedLog, ObservedRule } from "./observed.ts";

export interface Progress {
  faults: Map<string, Fault[]>;
  /** What an object waits for, one clause, by "Kind/name"; absent when it is as asked. */
  waiting: Map<string, string>;
}

interface Said {
  ready: boolean;
  /** Reason and sentence of Ready when neither a fault nor waiting explains it. */
  reason: string;
  message: string;
  more?: Condition[];
  /** Nothing is under way: only its time, or somebody, ends it. */
  rests?: boolean;
}

/** One raiseCondition for each condition that differs from what was last reported. */
export function conditionActions(desired: Desired, observed: Observed, progress: Progress): Action[] {
  const said = new Map<string, Said>([[federationKey, aboutFederation(observed, progress)]]);
  const blocked = progress.waiting.get(federationKey);
  for (const box of desired.boxes.values())
    said.set(`Box/${box.name}`, aboutBox(box, observed, namersOf(box, desired, observed)));
  for (const group of desired.groups.values())
    said.set(`RaftGroup/${group.name}`, aboutGroup(group, desired, observed));
  for (const zone of desired.zones.values())
    said.set(`ConsensusZone/${zone.name}`, aboutZone(zone, desired, { observed, blocked }));
  for (const mount of desired.mounts.values())
    said.set(`Mount/${mount.name}`, {
      ready: false,
      reason: "Retired",
      message: "Retired.",
      rests: true,
      more: [condition("Linked", false, "NotLinked", "Not linked.")],
    });
  const actions: Action[] = [];
  for (const [object, about] of said) {
    const earlier = new Map((observed.conditions.get(object) ?? []).map((each) => [each.type, each]));
    for (const next of conditionsOf(object, about, progress)) {
      const old = earlier.get(next.type);
      if (!old || old.status !== next.status || old.reason !== next.reason || old.message !== next.message)
        actions.push({ type: "raiseCondition", object, condition: next });
    }
  }
  return actions;
}

function conditionsOf(object: string, said: Said, progress: Progress): Condition[] {
  const fault = progress.faults.get(object)?.[0];
  const waiting = progress.waiting.get(object);
  const message = fault
    ? (progress.faults.get(object) ?? []).map((each) => each.message).join(" ")
    : waiting
      ? sentence(waiting)
      : said.message;
  const reason = fault ? fault.reason : waiting ? "Progressing" : said.reason;
  const ready = !fault && !waiting && said.ready;
  const moving = !fault && (waiting !== undefined || !said.ready) && !said.rests;
  return [
    condition("Ready", ready, ready ? said.reason : reason, message),
    condition("Reconciling", moving, moving ? reason : "Settled", moving ? message : "Nothing left to do."),
    condition(
      "Stalled",
      fault !== undefined,
      fault ? fault.reason : "NotStalled",
      fault ? message : "Nothing is in the way.",
    ),
    ...(said.more ?? []),
  ];
}

function condition(type: string, on: boolean, reason: string, message: string): Condition {
  return { type, status: on ? "True" : "False", reason, message };
}

function sentence(clause: string): string {
  return `${clause.charAt(0).toUpperCase()}${clause.slice(1)}.`;
}

function aboutFederation(observed: Observed, progress: Progress): Said {
  const ready = observed.systemServes && !progress.faults.has(federationKey);
  return {
    ready,
    reason: ready ? "Serving" : "Starting",
    message: ready ? "The system zone serves." : "The system zone does not serve yet.",
  };
}

/** What still names a deleted box, as people say it; `rests` when none of it goes by itself soon. */
function namersOf(box: DesiredBox, desired: Desired, observed: Observed): { names: string[]; rests: boolean } {
  if (!box.deleted) return { names: [], rests: false };
  const groups = [...desired.groups.values()].filter((group) => group.members.has(box.name));
  const zones = [...desired.zones.values()].filter(
    (zone) => !zone.retired && [zone.authorityBox, ...zone.replicas].includes(box.name),
  );
  const declared = [
    ...groups.map((group) => `RaftGroup ${group.name}`),
    ...zones.map((zone) => `ConsensusZone ${zone.name}`),
  ];
  const logs = [...observed.logs].filter(([, log]) => log.members.has(box.name));
  const isRetired = (zone: string) => desired.zones.get(zone)?.retired === true;
  const kept = logs.map(([zone]) => `the log of ${isRetired(zone) ? "the retired " : ""}zone ${zone}`);
  if (declared.length > 0) return { names: declared, rests: true };
  const staysWithout = ({ members }: ObservedLog) =>
    [...members.keys()].some((other) => desired.boxes.get(other)?.deleted !== true);
  return { names: kept, rests: kept.length > 0 && logs.every(([zone, log]) => isRetired(zone) && staysWithout(log)) };
}

function aboutBox(
  box: DesiredBox,
  observed: Observed,
  { names: namers, rests }: { names: readonly string[]; rests: boolean },
): Said {
  const self = observed.boxes.get(box.name);
  const running = observed.workloads.get(box.name)?.running === true;
  const available = box.role === "Witness" ? running : self !== undefined;
  const registered = observed.registered.has(box.name);
  const leaves = observed.workloads.get(box.name)?.exists !== true && namers.length === 0;
  const ready = available && registered && !box.deleted;
  const reason = box.deleted
    ? "Deleted"
    : !running
      ? "NotRunning"
      : !available
        ? "Unreachable"
        : registered
          ? "Serving"
          : "NotRegistered";
  const messages: Record<string, string> = {
    Deleted: leaves
      ? "Deleted; it is being taken out of the federation."
      : `Deleted; it stays until nothing names it${namers.length > 0 ? ` (now: ${namers.join(", ")})` : ""}.`,
    NotRunning: "Its process does not run.",
    Unreachable: "Its process runs but does not answer.",
    Serving: "It runs and the federation knows it.",
    NotRegistered: "It runs; the federation does not know it yet.",
  };
  return {
    ready,
    reason,
    message: messages[reason]!,
    rests,
    more: [
      condition("Available", available, available ? "Answers" : reason, available ? "It answers." : messages[reason]!),
      condition(
        "DiskPressure",
        self?.state === "full",
        self?.state === "full" ? "Full" : "Enough",
        self?.state === "full" ? "Its disk is below the reserve: writes are refused." : "Its disk has room.",
      ),
    ],
  };
}

function aboutGroup(group: DesiredGroup, desired: Desired, observed: Observed): Said {
  const zones = [...desired.zones.values()]
    .filter((zone) => zone.group === group.name && !zone.retired)
    .map((zone) => zone.name);
  if (systemGroupOf(desired, observed.logs.get(systemZone)?.members) === group) zones.unshift(systemZone);
  const logs = zones.map((zone) => observed.logs.get(zone));
  const led = logs.every((log) => log !== undefined && log.leader !== "");
  const degraded = logs.some((log) => log !== undefined && isDegraded(log, group.members));
  const changing = logs.some((log) => log?.joint);
  return {
    ready: led,
    reason: led ? "Led" : "NoLeader",
    message: led
      ? zones.length === 0
        ? "No zone uses it."
        : "Every log of it has a leader."
      : "A log of it has no leader yet.",
    more: [
      condition(
        "QuorumHealthy",
        led,
        led ? "Led" : "NoLeader",
        led ? "Every log has a leader." : "A log has no leader.",
      ),
      condition(
        "DegradedDurability",
        degraded,
        degraded ? "MemberBehind" : "AllCopies",
        degraded
          ? "A member is away or behind: writes have fewer copies than declared."
          : "Every member has what was acknowledged.",
      ),
      condition(
        "MembershipChanging",
        changing,
        changing ? "Joint" : "Stable",
        changing ? "A log changes its members." : "Members are as configured.",
      ),
      dataLost(zones, observed),
    ],
  };
}

/** Whether a log went on without its quorum, and what that may have cost. */
function dataLost(zones: readonly string[], observed: Observed): Condition {
  const told = zones.flatMap((zone) => {
    const recovery = observed.logs.get(zone)?.recovery;
    if (!recovery) return [];
    const { epoch, fromBox, lastIndex } = recovery;
    return `Zone ${zone} went on from box ${fromBox} at entry ${lastIndex} without its quorum (recovery ${epoch}): what only the abandoned members held after it is lost.`;
  });
  const on = told.length > 0;
  return condition(
    "DataLost",
    on,
    on ? "Recovered" : "NothingGivenUp",
    on ? told.join(" ") : "No quorum was given up.",
  );
}

/** A full member is away or behind, or the witness stands for one. */
function isDegraded(log: ObservedLog, members: MemberSet): boolean {
  if (log.leader === "" || log.witnessMode === "SOLO") return true;
  for (const [box, role] of members) {
    const member = log.members.get(box);
    if (role === "voter" && (!member || (box !== log.leader && !(member.active && member.caughtUp)))) return true;
  }
  return false;
}

/** A rule that nobody can give up says what a person can do. */
function retiring({ zone, members }: ObservedRule, log: ObservedLog | undefined): string {
  if (log !== undefined && log.leader !== "") return "Retired; its rule is being taken out.";
  const boxes = members.join(",");
  return `Retired; its rule is taken out once its log has a leader (it lies on ${members.join(", ")}). If all of these boxes are gone for good with their disks: nexus zone destroy ${zone} --confirm ${zone} --lost ${boxes}, or spec.lost.`;
}

function aboutZone(
  zone: DesiredZone,
  desired: Desired,
  world: { observed: Observed; blocked: string | undefined },
): Said {
  const { observed, blocked } = world;
  const rule = observed.rules.find((each) => each.zone === zone.name && each.state !== "detached");
  const log = observed.logs.get(zone.name);
  if (zone.retired) {
    const keepers = [...(observed.logs.get(zone.name)?.members.keys() ?? [])].join(", ");
    const message = rule
      ? retiring(rule, log)
      : keepers === ""
        ? "Retired; none of its data is left."
        : `Retired; its data is kept on ${keepers} until its retention ends, or nexus zone destroy ${zone.name}; these boxes stay so long.`;
    return {
      ready: false,
      reason: "Retired",
      message,
      rests: true,
      more: [condition("Installed", rule !== undefined, rule ? "Detaching" : "Retired", message)],
    };
  }
  const led = log !== undefined && log.leader !== "";
  const inForce = rule !== undefined && rule.mode === zone.policy.mode;
  const members = membersOf(zone, desired) ?? new Map();
  const degraded = led && isDegraded(log, members);
  const changing = rule !== undefined && !inForce;
  const ready = led && inForce;
  const reason = ready ? "Installed" : !led ? "NoLeader" : "NotInstalled";
  const waits = blocked === undefined ? "Its rule is being installed." : sentence(blocked);
  const message = ready ? `Mode ${zone.policy.mode} is in force.` : led || !log ? waits : "Its log has no leader.";
  return {
    ready,
    reason,
    message,
    more: [
      condition(
        "Installed",
        rule !== undefined,
        rule ? "Installed" : "NotInstalled",
        rule ? "Its rule is in the map." : "Its rule is not in the map.",
      ),
      condition(
        "ModeChanging",
        changing,
        changing ? "Changing" : "Stable",
        changing ? `From ${rule.mode} to ${zone.policy.mode}.` : "The mode is as asked.",
      ),
      condition(
        "Degraded",
        degraded,
        degraded ? "MemberBehind" : "AllCopies",
        degraded ? "A member is away or behind." : "Every member has what was acknowledged.",
      ),
      dataLost([zone.name], observed),
    ],
  };
}
