// What no single object can show: references to what is not there, roles that do not fit, patterns that tie, features
// that come later. Each becomes a condition on the object that must change; the object's last good state keeps running
// and the rest of the federation applies.
import { parsePattern } from "@nexus-federation/node/tree/pattern.ts";
import {
  type Desired,
  type DesiredBox,
  type DesiredGroup,
  type DesiredZone,
  type MemberRole,
  type MemberSet,
  membersOf,
  systemGroupOf,
} from "./desired.ts";
import { nearest } from "./nearest.ts";
import type { ObservedLog, ObservedRule } from "./observed.ts";

export interface Fault {
  /** One word for machines. */
  reason: string;
  /** One sentence: what is wrong, what to do. */
  message: string;
  /** Field that is to blame, from the object's root; absent when no single one is. */
  path?: (string | number)[];
}

/** Object that federation-wide faults are reported on, whether or not the resource exists. */
export const federationKey = "Federation/federation";

/**
 * Faults by "Kind/name". `installed` are the rules in force: against them a new pattern is the second one; `system` is
 * the system zone's log: a second system group is the one that it is not made of.
 */
export function referenceFaults(
  desired: Desired,
  installed: readonly ObservedRule[] = [],
  system?: Pick<ObservedLog, "members">,
): Map<string, Fault[]> {
  const faults = new Map<string, Fault[]>();
  const add = (key: string, found: readonly Fault[]) => {
    if (found.length > 0) faults.set(key, [...(faults.get(key) ?? []), ...found]);
  };
  const inForce = systemGroupOf(desired, system?.members);
  if (inForce === undefined) add(federationKey, systemFaults(desired));
  for (const box of desired.boxes.values()) add(`Box/${box.name}`, clusterFaults(desired, box.cluster));
  for (const group of desired.groups.values()) {
    add(`RaftGroup/${group.name}`, [
      ...memberFaults(desired, group.members, (at) => ["spec", "members", at, "box"]),
      ...revisionFaults(desired, group.revision),
      ...(inForce === group ? [] : secondSystemFaults(desired, group)),
    ]);
  }
  for (const zone of desired.zones.values())
    if (!zone.retired) add(`ConsensusZone/${zone.name}`, zoneFaults(desired, zone, faults));
  for (const [zone, fault] of patternFaults(desired, installed)) add(`ConsensusZone/${zone}`, [fault]);
  for (const mount of desired.mounts.values()) {
    if (mount.retired) continue;
    const message =
      "Mounts are not built yet in this version; the object is kept and will be linked by a version that has them.";
    add(`Mount/${mount.name}`, [{ reason: "NotBuiltYet", message, path: ["kind"] }]);
  }
  return faults;
}

function systemFaults(desired: Desired): Fault[] {
  const systems = [...desired.groups.values()].filter((group) => group.system).map((group) => group.name);
  if (systems.length === 1) return [];
  if (systems.length === 0)
    return [
      {
        reason: "NoSystemGroup",
        message:
          "No RaftGroup says system: true, so nothing can hold the rules; set it on one group and name its bootstrapBox.",
      },
    ];
  return [
    {
      reason: "NoSystemGroup",
      message: `RaftGroups ${systems.join(" and ")} all say system: true; exactly one may. Until then nothing changes.`,
    },
  ];
}

function secondSystemFaults(desired: Desired, group: DesiredGroup): Fault[] {
  if (!group.system) return [];
  const others = [...desired.groups.values()].filter((other) => other.system && other.name !== group.name);
  if (others.length === 0) return [];
  return [
    {
      reason: "NoSystemGroup",
      message: `RaftGroup ${others[0]!.name} says system: true as well; exactly one may. Take system and bootstrapBox out of the other.`,
      path: ["spec", "system"],
    },
  ];
}

function clusterFaults(desired: Desired, cluster: string): Fault[] {
  if (desired.clusters.length === 0 || desired.clusters.includes(cluster)) return [];
  return [
    {
      reason: "UnknownCluster",
      message: `The Federation lists no cluster ${cluster}; ${nearest(cluster, "It lists", desired.clusters)}`,
      path: ["spec", "cluster"],
    },
  ];
}

function revisionFaults(desired: Desired, revision: number): Fault[] {
  if (desired.clusters.length < 2 || revision > 0) return [];
  return [
    {
      reason: "RevisionMissing",
      message:
        "spec.revision is required since the Federation lists two clusters or more; set it and raise it with every change.",
      path: ["spec", "revision"],
    },
  ];
}

/** `fieldOf` the n-th member. */
function memberFaults(desired: Desired, members: MemberSet, fieldOf: (at: number) => (string | number)[]): Fault[] {
  const names = [...desired.boxes.values()].filter((box) => !box.deleted).map((box) => box.name);
  return [...members].flatMap(([name, role], at) => {
    const fault = memberFault(desired.boxes.get(name), { name, role, names });
    return fault ? [{ ...fault, path: fieldOf(at) }] : [];
  });
}

function memberFault(
  box: DesiredBox | undefined,
  { name, role, names }: { name: string; role: MemberRole; names: string[] },
): Fault | undefined {
  if (!box) {
    const message = `There is no Box ${name}; ${nearest(name, "Boxes:", names)} Create it, or name another.`;
    return { reason: "BoxMissing", message };
  }
  if (box.deleted) {
    const message = `Box ${name} is deleted and stays only until no member list names it; take it out.`;
    return { reason: "BoxDeleted", message };
  }
  if (box.role === "Witness" && role !== "witness") {
    const message = `Box ${name} is a witness and stores nothing, so it cannot be a ${role}; give it the role Witness here or name a data box.`;
    return { reason: "RoleMismatch", message };
  }
  if (box.role === "Data" && role === "witness") {
    const message = `Box ${name} is a data box and cannot be the witness; name a Box with role Witness.`;
    return { reason: "RoleMismatch", message };
  }
  return undefined;
}

function zoneFaults(desired: Desired, zone: DesiredZone, known: ReadonlyMap<string, Fault[]>): Fault[] {
  const later = notBuiltYet(zone);
  if (later) return [later];
  const faults = revisionFaults(desired, zone.revision);
  if (zone.group !== "") {
    const path = ["spec", "raftGroup"];
    if (!desired.groups.has(zone.group)) {
      const message = `There is no RaftGroup ${zone.group}; ${nearest(zone.group, "RaftGroups:", [...desired.groups.keys()])} Create it, or name another.`;
      faults.push({ reason: "GroupMissing", message, path });
    }
    const inherited = known.get(`RaftGroup/${zone.group}`)?.[0];
    if (inherited) {
      const message = `RaftGroup ${zone.group} is stalled: ${inherited.message}`;
      faults.push({ reason: "GroupStalled", message, path });
    }
  }
  const members = membersOf(zone, desired);
  if (zone.group === "" && members) {
    const fieldOf = (at: number) => (at === 0 ? ["spec", "authorityBox"] : ["spec", "replicas", at - 1]);
    faults.push(...memberFaults(desired, members, fieldOf));
  }
  return [...faults, ...regionFaults(desired, zone, members)];
}

function notBuiltYet(zone: DesiredZone): Fault | undefined {
  if (zone.policy.mode === "quorum") {
    const message =
      "Mode quorum is not built yet in this version; the zone is kept and will be served by a version that has it.";
    return { reason: "NotBuiltYet", message, path: ["spec", "mode"] };
  }
  if (zone.policy.writers === "any") {
    const message =
      "Mode eventual with writers: any is not built yet in this version; use writers: authority, or wait for a version that has it.";
    return { reason: "NotBuiltYet", message, path: ["spec", "writers"] };
  }
  return undefined;
}

function regionFaults(desired: Desired, zone: DesiredZone, members: MemberSet | undefined): Fault[] {
  if (zone.policy.regions.length === 0) return [];
  return [...(members ?? [])].flatMap(([name, role]) => {
    const region = desired.boxes.get(name)?.region;
    if (role === "witness" || region === undefined || zone.policy.regions.includes(region)) return [];
    const message = `Box ${name} stands in ${region}, but the zone's data may lie only in ${zone.policy.regions.join(", ")}.`;
    return [{ reason: "RegionNotAllowed", message, path: ["spec", "regions"] }];
  });
}

/** The normal spelling of a pattern; the text itself when it is no pattern. */
export function normalPattern(text: string): string {
  const pattern = parsePattern(text);
  return "text" in pattern ? pattern.text : text;
}

/**
 * Patterns tie exactly when their normal spellings are equal. Who is in force stays, else who was declared first, then
 * by name.
 */
function patternFaults(desired: Desired, installed: readonly ObservedRule[]): Map<string, Fault> {
  const faults = new Map<string, Fault>();
  const owners = new Map<string, { zone: string; pattern: string }>();
  for (const rule of installed)
    if (rule.state !== "detached" && !desired.zones.get(rule.zone)?.retired)
      owners.set(normalPattern(rule.pattern), rule);
  const path = ["spec", "pathPattern"];
  for (const zone of [...desired.zones.values()].sort(olderFirst)) {
    if (zone.retired) continue;
    const pattern = parsePattern(zone.pattern);
    if (!("text" in pattern)) {
      faults.set(zone.name, { reason: "PatternInvalid", message: `${pattern.message}.`, path });
      continue;
    }
    const owner = owners.get(pattern.text);
    if (owner && owner.zone !== zone.name) {
      const message = `Pattern ${zone.pattern} of zone ${zone.name} ties with ${owner.pattern} of zone ${owner.zone} on every path they match, and ${owner.zone} was first; retire one, or create it with another pattern.`;
      faults.set(zone.name, { reason: "PatternAmbiguous", message, path });
    } else owners.set(pattern.text, { zone: zone.name, pattern: zone.pattern });
  }
  return faults;
}

function olderFirst(a: DesiredZone, b: DesiredZone): number {
  return a.createdAtMs - b.createdAtMs || (a.name < b.name ? -1 : 1);
}
