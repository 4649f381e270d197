import type {
  AcquireDisruption,
  CreateLog,
  DestroyZone,
  GiveUpZone,
  RecordMembers,
  RegisterBox,
  ReleaseDisruption,
  RemoveBox,
  SystemCommand,
  SystemReply,
} from "@nexus-federation/proto/command.ts";
import { BoxRecord, type LogMember, type LogRecord } from "@nexus-federation/proto/records.ts";
import { unreachable } from "../base/assert.ts";
import { equalBytes, hexOf, utf8 } from "../base/bytes.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { show, zoneNameProblem } from "../tree/path.ts";
import { ByteWriter } from "./codec.ts";
import { boxKey, disruptionKey, federationKey, revisionKey, tombstoneKey, zoneKey } from "./keys.ts";
import type { MachineState } from "./state.ts";
import { putLog, SystemReads } from "./system-reads.ts";
import { abortRules, activateRules, beginRules, returnRules, showMembers } from "./system-rules.ts";

/** Changes the system zone's tables: boxes, logs, rule maps, the disruption lock. */
export function runSystemCommand(state: MachineState, command: SystemCommand): SystemReply | Refusal {
  const answer = runOperation(state, command);
  const seen = state.effects.some((effect) => effect.kind === "system-changed" && effect.what !== "disruption");
  if (seen) state.overlay.put(revisionKey, new ByteWriter().varint(state.index).finish());
  return answer;
}

function runOperation(state: MachineState, command: SystemCommand): SystemReply | Refusal {
  const op = command.op;
  if (!op) return refuse("INVALID", "system: the command is missing or newer than this version knows");
  switch (op.$case) {
    case "registerBox":
      return registerBox(state, op.value);
    case "createLog":
      return createLog(state, op.value);
    case "beginRules":
      return beginRules(state, op.value);
    case "activateRules":
      return activateRules(state, op.value);
    case "returnRules":
      return returnRules(state, op.value);
    case "abortRules":
      return abortRules(state, op.value);
    case "recordMembers":
      return recordMembers(state, op.value);
    case "removeBox":
      return removeBox(state, op.value);
    case "acquireDisruption":
      return acquireDisruption(state, op.value);
    case "releaseDisruption":
      return releaseDisruption(state, op.value);
    case "destroyZone":
      return destroyZone(state, op.value);
    case "giveUpZone":
      return giveUpZone(state, op.value);
    default:
      return unreachable(op, "system command");
  }
}

const done: SystemReply = { log: 0, epoch: 0, replica: 0 };

/**
 * A box's name belongs to one incarnation, and a removed one never returns. Another incarnation of a data box is another
 * disk: it takes the name, and the former one is removed for good, so that it cannot vote or acknowledge when it comes
 * back. Whether that is safe now (a healthy quorum without the old disk) is the operator's to judge.
 */
function registerBox(state: MachineState, operation: RegisterBox): SystemReply | Refusal {
  const { box, federationUid } = operation;
  if (!box || zoneNameProblem(box.name))
    return refuse("INVALID", "box.name: lower case letters, digits, - and . are expected");
  // A witness has none of its own: each of its records carries one, drawn by the Join of its group.
  const length = box.role === "Witness" ? 0 : 16;
  if (box.incarnation.length !== 16 && box.incarnation.length !== length)
    return refuse("INVALID", `box.incarnation: ${length} bytes, ${box.incarnation.length} came`);
  if (box.role !== "Data" && box.role !== "Witness")
    return refuse("INVALID", `box.role: Data or Witness, ${show(box.role)} came`);
  const reads = new SystemReads(state);
  const uid = reads.federationUid;
  if (uid !== "" && federationUid !== uid) {
    return refuse(
      "INVALID",
      `federationUid: box ${box.name} belongs to federation ${show(federationUid)}, this is ${uid}`,
    );
  }
  if (uid === "" && federationUid !== "") state.overlay.put(federationKey, utf8(federationUid));
  if (reads.isTombstoned(box.incarnation)) {
    return refuse(
      "DENIED",
      `incarnation ${hexOf(box.incarnation)} of box ${box.name} was removed and never returns; wipe its disk`,
    );
  }
  const known = reads.box(box.name);
  if (known && known.role !== box.role) {
    return refuse(
      "INVALID",
      `box.role: box ${box.name} is registered as ${known.role}, and a role is for good; take another name`,
    );
  }
  if (known && known.incarnation.length > 0 && !equalBytes(known.incarnation, box.incarnation)) {
    state.overlay.put(tombstoneKey(known.incarnation), utf8(box.name));
  }
  state.overlay.put(boxKey(box.name), BoxRecord.encode(box).finish());
  state.effects.push({ kind: "system-changed", what: "boxes" });
  return done;
}

function removeBox(state: MachineState, operation: RemoveBox): SystemReply | Refusal {
  const { name, incarnation, mayReturn } = operation;
  const reads = new SystemReads(state);
  const known = reads.box(name);
  const isWitness = known?.role === "Witness" && incarnation.length === 0;
  if (incarnation.length !== 16 && !isWitness) {
    return refuse("INVALID", `incarnation: 16 bytes, ${incarnation.length} came`);
  }
  const isMember = ({ box, role, incarnation: own }: LogMember) =>
    isWitness ? box === name && role === "witness" : equalBytes(own, incarnation);
  for (const log of reads.logs()) {
    if (log.state === "destroyed" || !log.members.some(isMember)) continue;
    return refuse("ZONE_IN_USE", `box ${name} is a member of zone ${log.zone}; change that zone's members first`);
  }
  if (!isWitness && !mayReturn) state.overlay.put(tombstoneKey(incarnation), utf8(name));
  if (known && equalBytes(known.incarnation, incarnation)) state.overlay.delete(boxKey(name));
  state.effects.push({ kind: "system-changed", what: "boxes" });
  return done;
}

/** Makes the zone's log unless the name has one: the reply says which. A retired zone's log is attached again. */
function createLog(state: MachineState, operation: CreateLog): SystemReply | Refusal {
  const wanted = operation.log;
  const problem = wanted ? zoneNameProblem(wanted.zone) : "it is missing";
  if (!wanted || problem) return refuse("INVALID", `log.zone: ${problem}`);
  const reads = new SystemReads(state);
  const known = reads.logOfZone(wanted.zone);
  if (known) return { ...done, log: known.log };
  for (const member of wanted.members) {
    const refused = reads.isTombstoned(member.incarnation);
    if (refused)
      return refuse("DENIED", `members: incarnation ${hexOf(member.incarnation)} of box ${member.box} was removed`);
  }
  const log: LogRecord = {
    ...wanted,
    log: state.index,
    generation: 1,
    state: "retired",
    configIndex: 0,
    retiredMs: state.logTimeMs,
  };
  putLog(state, log);
  state.overlay.put(zoneKey(log.zone), new ByteWriter().varint(log.log).finish());
  return { ...done, log: log.log };
}

/**
 * What a log says its members are; only newer configurations count, of the newest generation. The incarnations that a
 * recovery gave up never return, to no log.
 */
function recordMembers(state: MachineState, operation: RecordMembers): SystemReply | Refusal {
  const log = new SystemReads(state).log(operation.log);
  if (log?.state === "destroyed" && operation.configIndex === 0) return recordDropped(state, log, operation);
  if (!log || log.state === "destroyed") return refuse("NOT_FOUND", `no zone has the log ${operation.log}`);
  const generation = operation.generation || log.generation;
  const isNewer = generation === log.generation ? operation.configIndex > log.configIndex : generation > log.generation;
  if (!isNewer) return { ...done, log: log.log };
  for (const incarnation of operation.banned) state.overlay.put(tombstoneKey(incarnation), utf8(log.zone));
  const next: LogRecord = { ...log, members: operation.members, configIndex: operation.configIndex, generation };
  putLog(state, next);
  showMembers(state, next);
  return { ...done, log: log.log };
}

/** Members of a destroyed zone have dropped their data: those that are left are named. */
function recordDropped(state: MachineState, log: LogRecord, operation: RecordMembers): SystemReply {
  const members = log.members.filter((member) => operation.members.some((left) => left.replica === member.replica));
  putLog(state, { ...log, members });
  return { ...done, log: log.log };
}

/** Frees the name. The number, which is part of the log's uid, is never used again. */
function destroyZone(state: MachineState, operation: DestroyZone): SystemReply | Refusal {
  const { zone } = operation;
  const reads = new SystemReads(state);
  const log = reads.logOfZone(zone);
  if (!log) return refuse("NOT_FOUND", `no zone is named ${show(zone)}`);
  if (operation.log !== 0 && operation.log !== log.log) {
    return refuse(
      "PRECONDITION_FAILED",
      `log: zone ${zone} has the log ${log.log}, ${operation.log} was to be destroyed`,
    );
  }
  for (const map of [reads.ruleMap(), reads.pendingMap()]) {
    const rule = map?.rules.find((one) => one.zone === zone && one.state !== "detached");
    if (rule) return refuse("ZONE_IN_USE", `the rule ${rule.pattern} binds zone ${zone}; remove it first`);
  }
  putLog(state, { ...log, state: "destroyed" });
  state.overlay.delete(zoneKey(zone));
  return { ...done, log: log.log };
}

/** Every box that holds a copy is named, by the disk that is meant: a zone is not given up beside one that was forgotten. */
function giveUpZone(state: MachineState, { zone, log: number, abandoned }: GiveUpZone): SystemReply | Refusal {
  const log = new SystemReads(state).logOfZone(zone);
  if (!log) return refuse("NOT_FOUND", `no zone is named ${show(zone)}`);
  if (number !== log.log)
    return refuse("PRECONDITION_FAILED", `log: zone ${zone} has the log ${log.log}, ${number} was to be given up`);
  const kept = log.members.filter(
    ({ role, incarnation }) => role !== "witness" && !abandoned.some((one) => equalBytes(one, incarnation)),
  );
  if (kept.length > 0) {
    const names = kept.map(({ box, incarnation }) => `${box} (incarnation ${hexOf(incarnation)})`).join(", ");
    const text = `abandoned: zone ${zone} lies on ${names} too; go on from that copy, or name it among the lost`;
    return refuse("PRECONDITION_FAILED", text);
  }
  putLog(state, { ...log, lost: true });
  return { ...done, log: log.log };
}

/** One box of the federation may be taken down on purpose at a time; the right ends by itself in log time. */
function acquireDisruption(state: MachineState, operation: AcquireDisruption): SystemReply | Refusal {
  const { box, holder, ttlMs } = operation;
  if (ttlMs < 1 || ttlMs > state.limits.lockTtlMsMax)
    return refuse("INVALID", `ttlMs: 1 to ${state.limits.lockTtlMsMax}, ${ttlMs} came`);
  const now = new SystemReads(state).disruption();
  if (now && now.untilMs > state.logTimeMs && (now.box !== box || now.holder !== holder)) {
    return refuse("LOCKED", `box ${now.box} is being disrupted by ${now.holder}; wait until it is done`, {
      retryAfterMs: now.untilMs - state.logTimeMs,
      details: { box: now.box, holder: now.holder },
    });
  }
  const value = new ByteWriter()
    .text(box)
    .text(holder)
    .varint(state.logTimeMs + ttlMs)
    .finish();
  state.overlay.put(disruptionKey, value);
  state.effects.push({ kind: "system-changed", what: "disruption" });
  return done;
}

function releaseDisruption(state: MachineState, operation: ReleaseDisruption): SystemReply | Refusal {
  const now = new SystemReads(state).disruption();
  if (now?.box !== operation.box || now.holder !== operation.holder) return done;
  state.overlay.delete(disruptionKey);
  state.effects.push({ kind: "system-changed", what: "disruption" });
  return done;
}
