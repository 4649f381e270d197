import type { GroupView, MemberProgress } from "./api.ts";
import { isWitness } from "./config.ts";
import type { HostCore } from "./core.ts";
import type { Liveness } from "./liveness.ts";
import type { Replica } from "./replica.ts";

export function viewOf(replica: Replica, { self: { box: self }, liveness }: HostCore): GroupView {
  const { node, config, state } = replica;
  const { raft } = node;
  const regime = raft.regime?.leader;
  const progress = progressOf(replica, liveness);
  const isLeader = raft.state === "StateLeader";
  const active = progress.filter((member) => member.active || member.box === self).length;
  return {
    log: replica.log,
    generation: replica.generation,
    zone: config.zone,
    isLeader,
    leaderBox: replica.leaderBox,
    term: raft.term,
    role: roleOf(replica),
    witnessMode: isLeader && config.witnesses.length > 0 ? (regime?.mode ?? "") : "",
    epoch: regime?.epoch ?? 0,
    commit: raft.log.committed,
    applied: raft.log.applied,
    config,
    progress,
    logTimeMs: Math.max(replica.logTimeMs, state.logTimeMs),
    needsReplication: replica.mute,
    activeCopies: isLeader ? active : 0,
  };
}

function roleOf(replica: Replica): GroupView["role"] {
  const { raft } = replica.node;
  if (raft.state === "StateLeader") return "leader";
  if (raft.state !== "StateFollower") return "candidate";
  return raft.isLearner || !replica.config.voters.includes(replica.id) ? "learner" : "follower";
}

function progressOf(replica: Replica, liveness: Liveness): MemberProgress[] {
  const { raft } = replica.node;
  const silentMax = Math.round(replica.timing.electionMs / replica.settings.tickMs);
  const members: MemberProgress[] = [];
  for (const member of replica.config.members) {
    if (isWitness(replica.config, member.replica)) continue;
    if (member.replica === replica.id) {
      members.push({ ...member, match: replica.storage.lastIndex(), state: "self", active: true });
      continue;
    }
    const known = raft.state === "StateLeader" ? raft.tracker.progress.get(member.replica) : undefined;
    if (known === undefined) {
      members.push({ ...member, match: 0, state: "unknown", active: false });
      continue;
    }
    const states = { StateProbe: "probe", StateReplicate: "replicate", StateSnapshot: "snapshot" } as const;
    const isHeard = !raft.peersDown.has(member.replica) && !liveness.isSilent(member.box);
    const active = replica.quiet ? isHeard : known.silentTicks < silentMax;
    members.push({ ...member, match: known.match, state: states[known.state], active });
  }
  return members;
}
