import { GroupConfig } from "@nexus-federation/proto/raft.ts";
import type { LogMember } from "@nexus-federation/proto/records.ts";
import { equalBytes } from "../base/bytes.ts";
import type { ConfChange, ConfState } from "../raft/types.ts";
import { readChange } from "./config-bytes.ts";

// The configuration of a log, as stored: the core's ids plus who stands behind them. Values are replaced, never changed.

export function emptyConfig(): GroupConfig {
  return GroupConfig.decode(new Uint8Array(0));
}

/** Configuration of a log that begins: its members with their ids. */
export function firstConfig(members: LogMember[], more: Partial<GroupConfig>): GroupConfig {
  const ids = (roles: string[]) =>
    members.filter((member) => roles.includes(member.role)).map((member) => member.replica);
  return {
    ...emptyConfig(),
    voters: ids(["voter", "witness"]).sort(ascending),
    learners: ids(["learner"]).sort(ascending),
    witnesses: ids(["witness"]).sort(ascending),
    members,
    nextReplica: Math.max(0, ...members.map((member) => member.replica)) + 1,
    configIndex: 1,
    ...more,
  };
}

export function confStateOf(config: GroupConfig): ConfState {
  return {
    voters: config.voters,
    learners: config.learners,
    votersOutgoing: config.votersOutgoing,
    learnersNext: config.learnersNext,
    autoLeave: config.autoLeave,
    witnesses: config.witnesses,
  };
}

/** The configuration after a change was applied at `index`. Members that are in no set any more are dropped. */
export function changedConfig(
  config: GroupConfig,
  change: ConfChange,
  made: { state: ConfState; index: number },
): GroupConfig {
  const { state, index } = made;
  const data = readChange(change.context);
  const known = new Map(config.members.map((member) => [member.replica, member]));
  for (const member of data.members) known.set(member.replica, member);
  const learners = new Set([...state.learners, ...state.learnersNext]);
  const witnesses = new Set(state.witnesses);
  const ids = [...new Set([...state.voters, ...state.votersOutgoing, ...learners])].sort(ascending);
  const members: LogMember[] = [];
  for (const id of ids) {
    const member = known.get(id);
    if (member === undefined) continue;
    const role = witnesses.has(id) ? "witness" : state.learners.includes(id) ? "learner" : "voter";
    members.push({ ...member, role });
  }
  return {
    ...config,
    voters: [...state.voters],
    votersOutgoing: [...state.votersOutgoing],
    learners: [...state.learners],
    learnersNext: [...state.learnersNext],
    witnesses: [...state.witnesses],
    autoLeave: state.autoLeave,
    members,
    nextReplica: Math.max(config.nextReplica, data.nextReplica),
    configIndex: index,
  };
}

export function memberOf(config: GroupConfig, replica: number): LogMember | undefined {
  return config.members.find((member) => member.replica === replica);
}

export function isWitness(config: GroupConfig, replica: number): boolean {
  return config.witnesses.includes(replica);
}

export function isJoint(config: GroupConfig): boolean {
  return config.votersOutgoing.length > 0;
}

/** The newest replica id of a box and incarnation; 0 when it is no member. */
export function replicaOf(config: GroupConfig, box: string, incarnation: Uint8Array): number {
  let replica = 0;
  for (const member of config.members) {
    if (member.box !== box || member.role === "witness" || !equalBytes(member.incarnation, incarnation)) continue;
    replica = Math.max(replica, member.replica);
  }
  return replica;
}

function ascending(a: number, b: number): number {
  return a - b;
}
