import type {
  AbortRules,
  ActivateRules,
  BeginRules,
  ReturnRules,
  SystemReply,
} from "@nexus-federation/proto/command.ts";
import { type LogRecord, RuleMap, type ZoneRule } from "@nexus-federation/proto/records.ts";
import { equalBytes } from "../base/bytes.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { rulesProblem } from "../tree/rules.ts";
import { ByteWriter } from "./codec.ts";
import { pendingMapKey, returningKey, ruleMapKey, spentEpochKey } from "./keys.ts";
import type { MachineState } from "./state.ts";
import { putLog, SystemReads } from "./system-reads.ts";

/** Rules of a map at most. */
const rulesMax = 10_000;
const modes: readonly string[] = ["strong", "strong_ha", "eventual", "quorum"];

/** Makes the next map pending, if the expected one is active and no other waits. The same map again is the same answer. */
export function beginRules(state: MachineState, operation: BeginRules): SystemReply | Refusal {
  const reads = new SystemReads(state);
  const { epoch } = reads.ruleMap();
  if (operation.expectedEpoch !== epoch) {
    return refuse(
      "STALE_EPOCH",
      `expectedEpoch: ${operation.expectedEpoch} came, the active map is ${epoch}; plan from that one`,
      { epoch },
    );
  }
  const problem = checkRules(reads, operation.rules);
  if (problem) return problem;
  const rules = operation.rules.map((rule) => withMembers(rule, reads.log(rule.log)));
  const pending = reads.pendingMap();
  const next = encodeMap(pending?.epoch ?? reads.nextEpoch(), rules);
  if (pending && (reads.returning() || !equalBytes(encodeMap(pending.epoch, pending.rules), next))) {
    return refuse("ALREADY_EXISTS", `map ${pending.epoch} is pending already; activate or abort it first`, { epoch });
  }
  if (!pending) putMap(state, pendingMapKey, next);
  return { log: 0, epoch: pending?.epoch ?? reads.nextEpoch(), replica: 0 };
}

function checkRules(reads: SystemReads, rules: readonly ZoneRule[]): Refusal | undefined {
  if (rules.length > rulesMax)
    return refuse("TOO_LARGE", `rules: at most ${rulesMax} make a map, ${rules.length} came`);
  const zones = new Set<string>();
  for (const rule of rules) {
    const invalid = (why: string) =>
      refuse("INVALID", `rules: zone ${rule.zone} ${why}`, { details: { rule: rule.zone } });
    if (zones.has(rule.zone)) return invalid("has two rules; one rule binds a zone");
    zones.add(rule.zone);
    const log = reads.log(rule.log);
    if (!log || log.zone !== rule.zone || log.state === "destroyed")
      return invalid(`does not have the log ${rule.log}; create it first`);
    if (!modes.includes(rule.mode)) return invalid(`has no mode of ${modes.join(", ")}`);
  }
  return rulesProblem(rules);
}

/** The pending map becomes the active one; logs without a rule retire, those with one are attached. */
export function activateRules(state: MachineState, operation: ActivateRules): SystemReply | Refusal {
  const reads = new SystemReads(state);
  const { epoch } = reads.ruleMap();
  if (operation.epoch === epoch) return { log: 0, epoch, replica: 0 };
  const pending = reads.pendingMap();
  if (pending?.epoch !== operation.epoch || reads.returning()) {
    const what = pending ? `map ${pending.epoch} is pending` : "no map is pending";
    return refuse("STALE_EPOCH", `epoch: ${operation.epoch} was to be activated, ${what} and ${epoch} is active`, {
      epoch,
    });
  }
  const rules = pending.rules.map((rule): ZoneRule => (rule.state === "pending" ? { ...rule, state: "active" } : rule));
  putMap(state, ruleMapKey, encodeMap(pending.epoch, rules));
  dropPending(state);
  const bound = new Set(rules.filter((rule) => rule.state !== "detached").map((rule) => rule.log));
  for (const log of reads.logs()) attach(state, log, bound.has(log.log));
  return { log: 0, epoch: pending.epoch, replica: 0 };
}

function attach(state: MachineState, log: LogRecord, bound: boolean): void {
  if (bound && log.state !== "active") putLog(state, { ...log, state: "active", retiredMs: 0, restoring: undefined });
  if (!bound && log.state === "active") putLog(state, { ...log, state: "retired", retiredMs: state.logTimeMs });
}

/**
 * From here on the pending map is only given back. It takes a fresh epoch: what is under way of the steps towards it
 * comes too late in every zone that has given back, and it cannot be activated by one who has not heard of this.
 */
export function returnRules(state: MachineState, operation: ReturnRules): SystemReply | Refusal {
  const reads = new SystemReads(state);
  const pending = reads.pendingMap();
  if (pending?.epoch !== operation.epoch) {
    const what = pending ? `map ${pending.epoch} is pending` : "no map is pending";
    return refuse("STALE_EPOCH", `epoch: ${operation.epoch} was to be given back, ${what}`, {
      epoch: reads.ruleMap().epoch,
    });
  }
  if (reads.returning()) return { log: 0, epoch: pending.epoch, replica: 0 };
  const epoch = pending.epoch + 1;
  const { code, reason, rule } = operation;
  state.overlay.put(returningKey, new ByteWriter().text(code).text(reason).text(rule).finish());
  putMap(state, pendingMapKey, encodeMap(epoch, pending.rules));
  return { log: 0, epoch, replica: 0 };
}

export function abortRules(state: MachineState, operation: AbortRules): SystemReply | Refusal {
  const reads = new SystemReads(state);
  const { epoch } = reads.ruleMap();
  const pending = reads.pendingMap();
  if (pending && pending.epoch !== operation.epoch) {
    return refuse("STALE_EPOCH", `epoch: ${operation.epoch} was to be aborted, map ${pending.epoch} is pending`, {
      epoch,
    });
  }
  if (!pending && operation.epoch <= epoch) {
    return refuse("STALE_EPOCH", `epoch: map ${operation.epoch} is active or past, it cannot be aborted`, { epoch });
  }
  if (pending && reads.returning()) {
    state.overlay.put(spentEpochKey, new ByteWriter().varint(pending.epoch).finish());
    state.overlay.delete(returningKey);
  }
  if (pending) dropPending(state);
  return { log: 0, epoch, replica: 0 };
}

/** Copies a log's members into the maps, where boxes look for whom to forward to. The epoch stays: no path changes hands. */
export function showMembers(state: MachineState, log: LogRecord): void {
  const reads = new SystemReads(state);
  for (const [key, map] of [
    [ruleMapKey, reads.ruleMap()],
    [pendingMapKey, reads.pendingMap()],
  ] as const) {
    if (!map?.rules.some((rule) => rule.log === log.log)) continue;
    const rules = map.rules.map((rule) => (rule.log === log.log ? withMembers(rule, log) : rule));
    putMap(state, key, encodeMap(map.epoch, rules));
  }
}

/** A log that never reported keeps the members the rule came with. */
function withMembers(rule: ZoneRule, log: LogRecord | undefined): ZoneRule {
  if (!log || log.configIndex === 0) return rule;
  const serving = log.members.filter((member) => member.role !== "witness");
  return { ...rule, members: serving.map((member) => member.box), generation: log.generation };
}

function encodeMap(epoch: number, rules: ZoneRule[]): Uint8Array {
  return RuleMap.encode({ epoch, rules }).finish();
}

function putMap(state: MachineState, key: string, bytes: Uint8Array): void {
  state.overlay.put(key, bytes);
  state.effects.push({ kind: "system-changed", what: key === ruleMapKey ? "rules" : "pending" });
}

function dropPending(state: MachineState): void {
  state.overlay.delete(pendingMapKey);
  state.effects.push({ kind: "system-changed", what: "pending" });
}
