import { drainAnnotation, fenceAnnotation, hibernateAnnotation, isAsked } from "../api/annotations.ts";
import { policyOf, timingOf, type ZonePolicy } from "../api/defaults.ts";
import { durationMs } from "../api/duration.ts";
import type { Resource } from "../api/kinds.ts";

export type MemberRole = "voter" | "learner" | "witness";

export interface DesiredBox {
  name: string;
  role: "Data" | "Witness";
  region: string;
  cluster: string;
  /** Asked for by annotation: no new leaders, leaders hand over. */
  drain: boolean;
  /** Asked for by annotation: it is kept stopped. */
  stop: "" | "fence" | "hibernate";
  /** Another cluster's operator runs it. */
  foreign: boolean;
  /** The resource is deleted; the workload goes once nothing names the box. */
  deleted: boolean;
}

/** Members of one log by box. Invariant: at least one voter; a witness only beside exactly two voters. */
export type MemberSet = ReadonlyMap<string, MemberRole>;

export interface DesiredGroup {
  name: string;
  members: MemberSet;
  timing: string;
  system: boolean;
  bootstrapBox: string;
  revision: number;
}

export interface DesiredZone {
  name: string;
  pattern: string;
  /** Wall time at which it was declared first, 0 when that is not known. */
  createdAtMs: number;
  retired: boolean;
  /** Wall time at which it was retired, 0 while active. */
  retiredAtMs: number;
  retentionMs: number;
  policy: ZonePolicy;
  /** RaftGroup that gives the members; empty when they come from authorityBox and replicas. */
  group: string;
  authorityBox: string;
  replicas: readonly string[];
  revision: number;
  /** Incarnations of all who held it, gone for good by a person's word; hex, lower case. */
  lost: readonly string[] | undefined;
}

/** Consent to go on without the quorum of a zone's log. */
export interface DesiredRecovery {
  zone: string;
  fromBox: string;
  /** Of the log, so that a zone made again under the same name is not meant. */
  uid: string;
  /** Each is executed once. */
  epoch: number;
  /** Hex, lower case. */
  abandoned: readonly string[];
}

export interface DesiredMount {
  name: string;
  path: string;
  zone: string;
  retired: boolean;
}

/** What the resources in force ask for. Objects that are absent here are left alone. */
export interface Desired {
  federation: string;
  /** In whose name boxes are away on purpose. */
  operator: string;
  /** Clusters listed by the Federation. */
  clusters: readonly string[];
  boxes: ReadonlyMap<string, DesiredBox>;
  groups: ReadonlyMap<string, DesiredGroup>;
  zones: ReadonlyMap<string, DesiredZone>;
  mounts: ReadonlyMap<string, DesiredMount>;
  /** By the object that declares it, "Kind/name". */
  recoveries: ReadonlyMap<string, DesiredRecovery>;
}

/** A resource with what happened to it: deletion does not remove it at once. */
export interface Declared {
  resource: Resource;
  /** Wall time at which it was declared first. */
  createdAtMs?: number;
  /** Wall time of deletion or of the first sight of state: Retired; 0 while in force. */
  endedAtMs: number;
  deleted: boolean;
}

/** `ownCluster` is whose boxes are run from here; empty: all. */
export function desiredOf(federation: string, declared: Iterable<Declared>, ownCluster = ""): Desired {
  const boxes = new Map<string, DesiredBox>();
  const groups = new Map<string, DesiredGroup>();
  const zones = new Map<string, DesiredZone>();
  const mounts = new Map<string, DesiredMount>();
  const recoveries = new Map<string, DesiredRecovery>();
  let clusters: string[] = [];
  for (const { resource, createdAtMs = 0, endedAtMs, deleted } of declared) {
    const { name, annotations } = resource.metadata;
    const recovery = deleted ? undefined : recoveryOf(resource);
    if (recovery) recoveries.set(`${resource.kind}/${name}`, recovery);
    switch (resource.kind) {
      case "Federation":
        if (!deleted) clusters = resource.spec.clusters.map((cluster) => cluster.name);
        break;
      case "Box": {
        const { role, region, cluster } = resource.spec;
        const drain = isAsked(annotations, drainAnnotation);
        const stop = isAsked(annotations, fenceAnnotation)
          ? "fence"
          : isAsked(annotations, hibernateAnnotation)
            ? "hibernate"
            : "";
        const foreign = ownCluster !== "" && cluster !== ownCluster;
        boxes.set(name, { name, role, region, cluster, drain, stop, foreign, deleted });
        break;
      }
      case "RaftGroup":
        if (!deleted) groups.set(name, groupOf(name, resource.spec));
        break;
      case "ConsensusZone":
        zones.set(name, zoneOf(name, resource.spec, { createdAtMs, endedAtMs, deleted }));
        break;
      case "Mount":
        mounts.set(name, {
          name,
          path: resource.spec.path,
          zone: resource.spec.zone,
          retired: deleted || resource.spec.state === "Retired",
        });
        break;
    }
  }
  return { federation, operator: `operator/${ownCluster}`, clusters, boxes, groups, zones, mounts, recoveries };
}

type SpecOfKind<K extends Resource["kind"]> = Extract<Resource, { kind: K }>["spec"];

function recoveryOf(resource: Resource): DesiredRecovery | undefined {
  if (resource.kind !== "RaftGroup" && resource.kind !== "ConsensusZone") return undefined;
  const { recovery } = resource.spec;
  if (recovery === undefined) return undefined;
  const { zone, fromBox, groupUID, epoch, abandonedIncarnations } = recovery;
  return { zone, fromBox, uid: groupUID, epoch, abandoned: abandonedIncarnations.map((one) => one.toLowerCase()) };
}

function groupOf(name: string, spec: SpecOfKind<"RaftGroup">): DesiredGroup {
  const members = new Map(spec.members.map((each) => [each.box, roleOf(each.role)] as const));
  return {
    name,
    members,
    timing: timingOf(spec.timing),
    system: spec.system,
    bootstrapBox: spec.bootstrapBox ?? "",
    revision: spec.revision ?? 0,
  };
}

function roleOf(role: "Voter" | "Learner" | "Witness"): MemberRole {
  return role === "Voter" ? "voter" : role === "Learner" ? "learner" : "witness";
}

function zoneOf(
  name: string,
  spec: SpecOfKind<"ConsensusZone">,
  life: { createdAtMs: number; endedAtMs: number; deleted: boolean },
): DesiredZone {
  return {
    name,
    pattern: spec.pathPattern,
    createdAtMs: life.createdAtMs,
    retired: life.deleted || spec.state === "Retired",
    retiredAtMs: life.endedAtMs,
    retentionMs: durationMs(spec.retention),
    policy: policyOf(spec),
    group: spec.raftGroup ?? "",
    authorityBox: spec.authorityBox ?? "",
    replicas: spec.replicas ?? [],
    revision: spec.revision ?? 0,
    lost: spec.lost?.abandonedIncarnations.map((one) => one.toLowerCase()),
  };
}

/** Members that the zone's log is to have, or undefined while its RaftGroup is missing. */
export function membersOf(zone: DesiredZone, desired: Desired): MemberSet | undefined {
  if (zone.group !== "") return desired.groups.get(zone.group)?.members;
  if (zone.authorityBox === "") return undefined;
  const members = new Map<string, MemberRole>([[zone.authorityBox, "voter"]]);
  for (const box of zone.replicas) members.set(box, "learner");
  return members;
}

/**
 * The group of the system zone. With several that say so, the one whose members `inForce` (the system zone's log) has:
 * a second one stalls itself and not the federation. Undefined when that does not tell (then no change is made at all).
 */
export function systemGroupOf(desired: Desired, inForce?: Members): DesiredGroup | undefined {
  const systems = [...desired.groups.values()].filter((group) => group.system);
  if (systems.length <= 1) return systems[0];
  const served = systems.filter((group) => inForce !== undefined && sameMembers(group.members, inForce));
  return served.length === 1 ? served[0] : undefined;
}

/** Members by box, as far as told apart by their role. */
type Members = ReadonlyMap<string, { role: MemberRole }>;

function sameMembers(group: MemberSet, log: Members): boolean {
  return group.size === log.size && [...group].every(([box, role]) => log.get(box)?.role === role);
}
