// Status answers of many boxes to one picture. A log is described by its leader; without one, by the member of the
// highest term, and its leader counts as unknown: nothing may be planned on a follower's word.
import { hexOf } from "@nexus-federation/node/base/bytes.ts";
import { systemZone } from "@nexus-federation/node/tree/system-zone.ts";
import type { GroupStatus, StatusReply } from "@nexus-federation/proto/admin.ts";
import type { BoxRecord, ZoneRule } from "@nexus-federation/proto/records.ts";
import type { Condition } from "../../api/conditions.ts";
import type { MemberRole } from "../../planner/desired.ts";
import type {
  Observed,
  ObservedLog,
  ObservedMember,
  ObservedRule,
  ObservedWorkload,
  RefusedRule,
  RegisteredBox,
} from "../../planner/observed.ts";

export interface Seen {
  workloads: ReadonlyMap<string, ObservedWorkload>;
  /** Answers of this round, by box. */
  replies: ReadonlyMap<string, StatusReply>;
  knownFederation: string;
  conditions: ReadonlyMap<string, readonly Condition[]>;
  /** Of the executor. */
  refusedRules?: ReadonlyMap<string, RefusedRule> | undefined;
}

export function observedOf(seen: Seen): Observed {
  const logs = new Map<string, ObservedLog>();
  for (const [zone, group] of leadersView(seen.replies)) logs.set(zone, logOf(group.reply, group.leads));
  const system = logs.get(systemZone);
  const authority = newest(seen.replies, system?.leader ?? "");
  return {
    workloads: seen.workloads,
    boxes: new Map(
      [...seen.replies].map(([box, reply]) => [box, { incarnation: hexOf(reply.incarnation), state: reply.state }]),
    ),
    knownFederation: seen.knownFederation,
    bootstrapped: system !== undefined,
    systemServes: system !== undefined && system.leader !== "",
    epoch: authority?.map?.epoch ?? authority?.epoch ?? 0,
    rulesPending: authority?.pending !== undefined,
    rules: (authority?.map?.rules ?? []).map(observedRule),
    refusedRules: seen.refusedRules,
    registered: new Map((authority?.boxes ?? []).map((box) => [box.name, registeredBox(box)])),
    logs,
    disruption: authority?.disruptionBox
      ? { box: authority.disruptionBox, holder: authority.disruptionHolder }
      : undefined,
    conditions: seen.conditions,
  };
}

/** The best description of each zone's log. */
export function leadersView(
  replies: ReadonlyMap<string, StatusReply>,
): Map<string, { reply: GroupStatus; leads: boolean }> {
  const best = new Map<string, { reply: GroupStatus; leads: boolean }>();
  for (const reply of replies.values()) {
    for (const group of reply.groups) {
      const other = best.get(group.zone);
      if (!other || describesBetter(group, other.reply)) {
        best.set(group.zone, { reply: group, leads: group.role === "leader" });
      }
    }
  }
  return best;
}

/** Of two boxes' words about one log: the later generation's, then its leader's, then those of the higher term. */
export function describesBetter(group: GroupStatus, than: GroupStatus): boolean {
  if (group.generation !== than.generation) return group.generation > than.generation;
  const leads = group.role === "leader";
  return leads === (than.role === "leader") ? group.term > than.term : leads;
}

/** Who leads the system zone knows best; without a leader, who knows the highest epoch. */
function newest(replies: ReadonlyMap<string, StatusReply>, leader: string): StatusReply | undefined {
  const led = replies.get(leader);
  if (led) return led;
  return [...replies.values()].reduce<StatusReply | undefined>(
    (best, reply) => (best && best.epoch >= reply.epoch ? best : reply),
    undefined,
  );
}

function logOf(group: GroupStatus, leads: boolean): ObservedLog {
  return {
    log: group.log,
    generation: group.generation,
    leader: leads ? group.leader : "",
    configIndex: group.configIndex,
    joint: group.joint,
    members: new Map(group.members.map((member) => [member.box, observedMember(member)])),
    witnessMode: group.witnessMode,
    mode: group.mode,
    acceptedHash: group.acceptedHash,
    acceptedRevision: group.acceptedRevision,
    acceptedWaits: group.acceptedWaits,
    uid: group.uid,
    recovery: group.recovery,
  };
}

function observedMember(member: GroupStatus["members"][number]): ObservedMember {
  return {
    role: member.role as MemberRole,
    incarnation: hexOf(member.incarnation),
    active: member.active,
    caughtUp: member.caughtUp,
  };
}

function observedRule(rule: ZoneRule): ObservedRule {
  return { ...rule };
}

function registeredBox(box: BoxRecord): RegisteredBox {
  return {
    incarnation: hexOf(box.incarnation),
    region: box.region,
    peerEndpoint: box.peerEndpoint,
    clientEndpoint: box.clientEndpoint,
  };
}
