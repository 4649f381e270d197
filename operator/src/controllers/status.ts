// What each object's status says, beside its conditions. Nothing that moves while a healthy federation works.

import { hexOf } from "@nexus-federation/node/base/bytes.ts";
import { systemZone } from "@nexus-federation/node/tree/system-zone.ts";
import type { StatusReply } from "@nexus-federation/proto/admin.ts";
import { intents, isAsked } from "../api/annotations.ts";
import type { Resource } from "../api/kinds.ts";
import { type Desired, systemGroupOf } from "../planner/desired.ts";
import type { Observed, ObservedLog, ObservedMember } from "../planner/observed.ts";
import type { KubeObject } from "../runtime/objects.ts";

type Json = Record<string, unknown>;

export interface StatusWorld {
  desired: Desired;
  observed: Observed;
  replies: ReadonlyMap<string, StatusReply>;
  /** Of the federation, drawn at its bootstrap; empty before. */
  federationUid: string;
  /** In which map a zone's rule was installed last; 0: in none. */
  epochOf: (zone: string, object: KubeObject) => number;
}

/** Members of a log that are shown when there are more. */
const worstMax = 10;
/** A RaftGroup names so many leaders. */
const leadersTextMax = 512;

/** Fields of the status; those that are not known are left out. */
export function statusOf(resource: Resource, object: KubeObject, world: StatusWorld): Json {
  const { name } = resource.metadata;
  const { observed } = world;
  switch (resource.kind) {
    case "Federation":
      return { ...some("uid", world.federationUid), ...(observed.epoch > 0 ? { epoch: observed.epoch } : {}) };
    case "Box":
      return boxStatus(name, object, world);
    case "RaftGroup":
      return groupStatus(name, world);
    case "ConsensusZone":
      return zoneStatus(name, object, world);
    case "Mount":
      return {};
  }
}

function boxStatus(name: string, object: KubeObject, { observed, replies }: StatusWorld): Json {
  const reply = replies.get(name);
  const known = observed.registered.get(name);
  return {
    ...some("state", reply?.state),
    ...some("incarnation", reply ? hexOf(reply.incarnation) : known?.incarnation),
    ...some("version", reply?.version),
    ...some("clientEndpoint", observed.workloads.get(name)?.clientEndpoint),
    ...some("requestedBy", whoAsked(object)),
  };
}

function groupStatus(name: string, { desired, observed }: StatusWorld): Json {
  const zones = [...desired.zones.values()]
    .filter((zone) => zone.group === name && !zone.retired)
    .map((zone) => zone.name);
  if (systemGroupOf(desired, observed.logs.get(systemZone)?.members)?.name === name) zones.unshift(systemZone);
  const logs = zones.flatMap((zone) => observed.logs.get(zone) ?? []);
  const leaders = [...new Set(logs.map((log) => log.leader))].filter((box) => box !== "").sort();
  const modes = logs.map((log) => log.witnessMode);
  return {
    zones: zones.length,
    ...some("leaders", leaders.join(",").slice(0, leadersTextMax)),
    ...some("mode", modes.includes("SOLO") ? "SOLO" : (modes.find((mode) => mode !== "") ?? "")),
    acceptedRevision: Math.max(0, ...logs.map((log) => log.acceptedRevision)),
    members: worst(logs),
  };
}

function zoneStatus(name: string, object: KubeObject, { observed, epochOf }: StatusWorld): Json {
  const log = observed.logs.get(name);
  const rule = observed.rules.find((each) => each.zone === name);
  const epoch = epochOf(name, object);
  return {
    ...some("uid", log?.uid),
    ...some("mode", rule?.mode),
    ...some("leader", log?.leader),
    ...some("witnessMode", log?.witnessMode),
    ...(epoch > 0 ? { epoch } : {}),
    acceptedRevision: log?.acceptedRevision ?? 0,
    members: log ? worst([log]) : [],
  };
}

type MemberState = "CaughtUp" | "Lagging" | "Unreachable";
const badness: Record<MemberState, number> = { Unreachable: 2, Lagging: 1, CaughtUp: 0 };

/** Each box once, in its worst state over the logs; the worst first. */
function worst(logs: readonly ObservedLog[]): Json[] {
  const found = new Map<string, { box: string; role: string; state: MemberState }>();
  for (const log of logs) {
    for (const [box, member] of log.members) {
      const state = log.leader === "" ? "Unreachable" : box === log.leader ? "CaughtUp" : stateOf(member);
      const other = found.get(box);
      if (!other || badness[state] > badness[other.state]) found.set(box, { box, role: roleOf(member), state });
    }
  }
  return [...found.values()]
    .sort((a, b) => badness[b.state] - badness[a.state] || (a.box < b.box ? -1 : 1))
    .slice(0, worstMax);
}

function stateOf(member: ObservedMember): MemberState {
  if (!member.active) return "Unreachable";
  return member.caughtUp || member.role === "witness" ? "CaughtUp" : "Lagging";
}

function roleOf({ role }: ObservedMember): string {
  return role === "voter" ? "Voter" : role === "learner" ? "Learner" : "Witness";
}

/** Field managers that set the intents in force. */
function whoAsked({ metadata }: KubeObject): string {
  const asked = intents.filter((name) => isAsked(metadata.annotations, name));
  if (asked.length === 0) return "";
  const managers = (metadata.managedFields ?? []).filter(({ fieldsV1 }) => {
    const fields = (fieldsV1?.["f:metadata"] as Json | undefined)?.["f:annotations"] as Json | undefined;
    return asked.some((name) => fields?.[`f:${name}`] !== undefined);
  });
  return [...new Set(managers.map(({ manager }) => manager))].join(", ").slice(0, 253);
}

function some(name: string, value: string | undefined): Json {
  return value === undefined || value === "" ? {} : { [name]: value };
}
