import type { Cede, Own, RaiseLevel, SetPolicy } from "@nexus-federation/proto/command.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { joinPath, segmentsOf, show } from "../tree/path.ts";
import { matchesPattern, type Pattern, parsePattern, reachesBelow, takesFrom } from "../tree/pattern.ts";
import type { Ownership, ZonePolicy } from "./api.ts";
import { decodeEntry, rootEntry } from "./entry.ts";
import { after, directoryPrefix, lockPrefix, ownershipKey, pathOfLockKey, policyKey, textOfBinary } from "./keys.ts";
import { encodeOwnership, OwnedPaths } from "./ownership.ts";
import { encodePolicy, grantsLocks, lockPolicies, policyModes, type StoredPolicy } from "./policy.ts";
import type { MachineState } from "./state.ts";

/** Feature levels this code can apply. */
const featureLevelMax = 1;

/**
 * The zone takes a subtree, or changes what it leaves out of it. An empty pattern detaches the zone: it keeps its data
 * and owns nothing, until an Own attaches it again (perhaps elsewhere). A new exclusion is ceded like any other.
 */
export function own(state: MachineState, operation: Own): Refusal | undefined {
  const now = state.owned.ownership;
  const late = checkEpoch(state, operation.epoch);
  if (late) return late;
  if (operation.pattern === "") return store(state, { pattern: "", exclusions: [], epoch: operation.epoch });
  const pattern = parsePattern(operation.pattern);
  if (isRefusal(pattern)) return pattern;
  if (now.pattern !== "" && now.pattern !== pattern.text) {
    return refuse(
      "INVALID",
      `pattern: the zone owns ${now.pattern}; detach it (Own with an empty pattern) before it owns ${pattern.text}`,
    );
  }
  const exclusions = parseExclusions(state, pattern, operation.exclusions);
  if (isRefusal(exclusions)) return exclusions;
  const next: Ownership = {
    pattern: pattern.text,
    exclusions: exclusions.map((one) => one.text).sort(),
    epoch: operation.epoch,
  };
  const owned = new OwnedPaths(next);
  const known = new Set(now.exclusions);
  for (const exclusion of exclusions) {
    const busy = known.has(exclusion.text) ? undefined : checkEmpty(state, owned, exclusion);
    if (busy) return busy;
  }
  return store(state, next);
}

function parseExclusions(state: MachineState, pattern: Pattern, texts: readonly string[]): Pattern[] | Refusal {
  if (texts.length > state.limits.exclusionsMax) return tooManyExclusions(state);
  const out = new Map<string, Pattern>();
  for (const text of texts) {
    const exclusion = parsePattern(text);
    if (isRefusal(exclusion)) return exclusion;
    if (!takesFrom(exclusion, pattern)) {
      return refuse(
        "INVALID",
        `exclusions: ${exclusion.text} takes nothing from ${pattern.text}, so it cannot be left out of it`,
      );
    }
    out.set(exclusion.text, exclusion);
  }
  return [...out.values()];
}

/** The zone gives a subtree up. Refused, with their number, while files or locks lie below. */
export function cede(state: MachineState, operation: Cede): Refusal | undefined {
  const now = state.owned.ownership;
  const late = checkEpoch(state, operation.epoch);
  if (late) return late;
  const pattern = parsePattern(operation.pattern);
  if (isRefusal(pattern)) return pattern;
  const own = now.pattern === "" ? undefined : parsePattern(now.pattern);
  if (own === undefined || isRefusal(own) || !takesFrom(pattern, own)) {
    return refuse(
      "INVALID",
      `pattern: ${pattern.text} takes nothing from what the zone owns (${now.pattern || "nothing"})`,
    );
  }
  if (now.exclusions.includes(pattern.text)) return store(state, { ...now, epoch: operation.epoch });
  if (now.exclusions.length >= state.limits.exclusionsMax) return tooManyExclusions(state);
  const busy = checkEmpty(state, state.owned, pattern);
  if (busy) return busy;
  return store(state, { ...now, exclusions: [...now.exclusions, pattern.text].sort(), epoch: operation.epoch });
}

function checkEpoch(state: MachineState, epoch: number): Refusal | undefined {
  const known = state.owned.ownership.epoch;
  if (epoch >= known) return undefined;
  return refuse("STALE_EPOCH", `the hand-over is of epoch ${epoch}, the zone is at ${known}`, { epoch: known });
}

function tooManyExclusions(state: MachineState): Refusal {
  return refuse("TOO_LARGE", `a zone excludes at most ${state.limits.exclusionsMax} patterns; unite some rules`);
}

function store(state: MachineState, ownership: Ownership): undefined {
  state.owned = new OwnedPaths(ownership);
  state.overlay.put(ownershipKey, encodeOwnership(ownership));
  state.effects.push({ kind: "ownership-changed" });
}

function checkEmpty(state: MachineState, owned: OwnedPaths, pattern: Pattern): Refusal | undefined {
  const local = owned.local(pattern);
  if (!local) return undefined;
  const most = state.limits.cedeCountMax;
  const files = countFiles(state, local, most);
  const locks = countLocks(state, local, most);
  if (files + locks === 0) return undefined;
  const many = files >= most || locks >= most ? "at least " : "";
  return refuse(
    "NOT_EMPTY",
    `${many}${countOf(files, "file")} and ${countOf(locks, "lock")} lie below ${pattern.text}; move or delete them first`,
    {
      details: { files: String(files), locks: String(locks) },
    },
  );
}

/**
 * Files and mounts that match, `most` at most. Looks only into directories below which something can match, one after the
 * other: what is kept meanwhile is one scan for each level of a path.
 */
function countFiles(state: MachineState, local: Pattern, most: number): number {
  let count = 0;
  const open = [openDirectory(state, "/", rootEntry.id)];
  for (let level = open.at(-1); level !== undefined && count < most; level = open.at(-1)) {
    const row = level.rows.next();
    if (row.done === true) {
      open.pop();
      continue;
    }
    const path = joinPath(level.path, textOfBinary(row.value.key.slice(level.prefixLength)));
    const entry = decodeEntry(row.value.value);
    if (entry.type !== "directory") count += matchesPattern(local, segmentsOf(path)) ? 1 : 0;
    else if (reachesBelow(local, segmentsOf(path))) open.push(openDirectory(state, path, entry.id));
  }
  for (const level of open) level.rows.return?.();
  return count;
}

function openDirectory(state: MachineState, path: string, id: number) {
  const prefix = directoryPrefix(id);
  const rows = state.overlay.scan({ from: prefix, to: after(prefix) })[Symbol.iterator]();
  return { path, prefixLength: prefix.length, rows };
}

function countLocks(state: MachineState, local: Pattern, most: number): number {
  let count = 0;
  for (const { key } of state.overlay.scan({ from: lockPrefix, to: after(lockPrefix) })) {
    if (matchesPattern(local, segmentsOf(pathOfLockKey(key))) && ++count >= most) break;
  }
  return count;
}

/** Changes mode and lock policy. Leaving a locking mode waits until no lock is held; meanwhile new ones are refused. */
export function setPolicy(state: MachineState, operation: SetPolicy): Refusal | undefined {
  const { mode, locks, copiesDeclared, acceptedRevision, acceptedHash, epoch } = operation;
  const late = epoch === 0 ? undefined : checkEpoch(state, epoch);
  if (late) return late;
  if (!policyModes.includes(mode))
    return refuse("INVALID", `mode: one of ${policyModes.join(", ")}, ${show(mode)} came`);
  if (!lockPolicies.includes(locks)) return refuse("INVALID", `locks: refuse or upgrade, ${show(locks)} came`);
  if (acceptedHash.length > state.limits.labelBytesMax)
    return refuse("INVALID", `acceptedHash: at most ${state.limits.labelBytesMax} characters`);
  const { now } = state.policy;
  if (acceptedRevision < Math.max(now.acceptedRevision, state.policy.next?.acceptedRevision ?? 0)) {
    return refuse(
      "PRECONDITION_FAILED",
      `acceptedRevision: ${acceptedRevision} is older than the zone's ${now.acceptedRevision}`,
    );
  }
  const next: ZonePolicy = { mode, locks: locks || "refuse", copiesDeclared, acceptedRevision, acceptedHash };
  const { ownership } = state.owned;
  if (epoch > ownership.epoch) store(state, { ...ownership, epoch });
  const waits = grantsLocks(now) && !grantsLocks(next) && state.counters.locksHeld > 0;
  storePolicy(state, waits ? { now, next } : { now: next, next: undefined });
  return undefined;
}

/** The waiting policy comes into force when the last lock has ended. */
export function settlePolicy(state: MachineState): void {
  if (state.policy.next && state.counters.locksHeld === 0)
    storePolicy(state, { now: state.policy.next, next: undefined });
}

function storePolicy(state: MachineState, policy: StoredPolicy): void {
  state.policy = policy;
  state.overlay.put(policyKey, encodePolicy(policy));
  state.effects.push({ kind: "policy-changed" });
}

export function raiseLevel(state: MachineState, operation: RaiseLevel): Refusal | undefined {
  const { counters } = state;
  if (operation.level > featureLevelMax) {
    return refuse(
      "VERSION",
      `level ${operation.level} is above ${featureLevelMax}, the highest this version knows; upgrade every member first`,
    );
  }
  if (operation.level <= counters.level) return undefined;
  counters.level = operation.level;
  state.effects.push({ kind: "level-raised", level: operation.level });
  return undefined;
}

function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
