import type { GroupStatus, IdentifyReply, MemberStatus, StatusReply } from "@nexus-federation/proto/admin.ts";
import type { LogMember } from "@nexus-federation/proto/records.ts";
import { asBuffer } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import type { Groups, GroupView } from "../group/api.ts";
import type { ZoneStates } from "../zones/ports.ts";
import { holdersOf } from "../zones/receipts.ts";
import type { BoxHealth } from "./api.ts";
import type { BoxIdentity } from "./box.ts";
import type { Directory } from "./directory.ts";
import type { SystemSource } from "./ports.ts";
import { uidOf } from "./recover-call.ts";

/** A member that is at most that many entries behind has caught up. */
const caughtUpEntries = 64;

/** What a status needs of the disk's identity. */
export interface BoxDisk {
  incarnation: Uint8Array;
  /** Empty until the box joined a federation. */
  federationUid(): string;
  /** Remembers the federation, durable when resolved. */
  join(federationUid: string): Promise<void>;
  /** Free space is below the reserve. */
  low(): boolean;
}

export interface StatusNeeds {
  identity: BoxIdentity;
  version: string;
  disk: BoxDisk;
  groups: Groups & { logs(): number[] };
  states: ZoneStates;
  source: SystemSource;
  directory: Directory;
  clock: Clock;
  draining(): boolean;
  problems(): string[];
}

export function healthOf(needs: StatusNeeds): BoxHealth {
  const state = stateOf(needs);
  const serving = state !== "draining" && needs.directory.epoch > 0;
  return { ready: true, serving, state, problems: needs.problems() };
}

function stateOf(needs: StatusNeeds): BoxHealth["state"] {
  if (needs.draining()) return "draining";
  if (needs.disk.low()) return "full";
  return needs.groups.logs().length === 0 ? "empty" : "ready";
}

export function identifyReply(needs: StatusNeeds): IdentifyReply {
  const { identity, disk, source } = needs;
  return {
    box: identity.box,
    incarnation: asBuffer(disk.incarnation),
    state: stateOf(needs),
    role: "Data",
    federationUid: source.system()?.federationUid || disk.federationUid(),
    failure: undefined,
  };
}

export function statusReply(needs: StatusNeeds, withZones: boolean): StatusReply {
  const { identity, disk, directory, source, clock, version } = needs;
  const system = source.system();
  const disruption = system?.disruption();
  const held = disruption !== undefined && disruption.untilMs > clock.wallMs() ? disruption : undefined;
  const map = system?.ruleMap() ?? directory.map;
  return {
    box: identity.box,
    incarnation: asBuffer(disk.incarnation),
    region: identity.region,
    state: stateOf(needs),
    epoch: map.epoch,
    map: { epoch: map.epoch, rules: map.rules.filter((rule) => rule.pattern !== "") },
    groups: withZones ? groupStatuses(needs) : [],
    boxes: system?.boxes() ?? directory.boxes,
    pending: system?.pendingMap(),
    version,
    logTimeMs: clock.wallMs(),
    role: "Data",
    federation: identity.federation,
    disruptionBox: held?.box ?? "",
    disruptionHolder: held?.holder ?? "",
    problems: needs.problems(),
  };
}

function groupStatuses(needs: StatusNeeds): GroupStatus[] {
  const statuses: GroupStatus[] = [];
  for (const log of needs.groups.logs()) {
    const view = needs.groups.view(log);
    if (view !== undefined) statuses.push(groupStatus(needs, view));
  }
  return statuses;
}

function groupStatus(needs: StatusNeeds, view: GroupView): GroupStatus {
  const reader = needs.states.reader(view.log);
  const staleness = view.isLeader ? 0 : needs.groups.stalenessMs(view.log, "report");
  return {
    log: view.log,
    zone: view.zone,
    generation: view.generation,
    role: view.role,
    leader: view.leaderBox,
    term: view.term,
    witnessMode: view.witnessMode,
    epoch: view.epoch,
    commit: view.commit,
    applied: view.applied,
    configIndex: view.config.configIndex,
    joint: view.config.votersOutgoing.length > 0,
    members: view.config.members.map((member) => memberStatus(view, member)),
    acceptedRevision: view.config.target?.revision ?? 0,
    acceptedHash: view.config.target?.hash ?? "",
    acceptedWaits: view.isLeader ? needs.groups.membershipWaits(view.log) : "",
    stalenessMs: Number.isFinite(staleness) ? Math.ceil(staleness) : Number.MAX_SAFE_INTEGER,
    locksHeld: reader?.locksHeld ?? 0,
    mode: reader?.policy.mode ?? "",
    copies: holdersOf(view, view.commit).length,
    needsReplication: view.needsReplication,
    uid: uidOf(view),
    recovery: view.config.recovery,
  };
}

function memberStatus(view: GroupView, member: LogMember): MemberStatus {
  const known = view.progress.find((one) => one.replica === member.replica);
  const base = { box: member.box, role: member.role, replica: member.replica, incarnation: member.incarnation };
  if (known === undefined) return { ...base, match: 0, lag: 0, state: member.role, active: true, caughtUp: true };
  const lag = Math.max(0, view.commit - known.match);
  const caughtUp = known.active && known.state !== "snapshot" && known.state !== "unknown" && lag <= caughtUpEntries;
  return { ...base, match: known.match, lag, state: known.state, active: known.active, caughtUp };
}
