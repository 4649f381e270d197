import type { Precondition } from "@nexus-federation/proto/command.ts";
import { equalBytes, hexOf } from "../base/bytes.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { revisionText } from "../base/json.ts";
import { show } from "../tree/path.ts";
import { checkPath } from "./directories.ts";
import type { Entry } from "./entry.ts";
import { readLock } from "./lock-record.ts";
import { grantsLocks } from "./policy.ts";
import type { MachineState } from "./state.ts";

/**
 * Why the command may not run, or undefined. `entry` is what stands at `path` now; a revision of 0 means nothing. The
 * fence must be a current holder's of `lockPath` (default `path`), which stops a paused holder's late write.
 */
export function checkCondition(
  state: MachineState,
  condition: Precondition | undefined,
  target: { path: string; entry: Entry | undefined },
): Refusal | undefined {
  if (!condition) return undefined;
  const { path } = target;
  const compares =
    condition.ifMatch.length > 0 || condition.ifNoneMatch || condition.ifExists || condition.ifRevision !== undefined;
  if (!compares && condition.fenceCounter === 0) return undefined;
  if (!grantsLocks(state.policy.now)) {
    return refuse("CONSISTENCY", `${show(path)} lies in an eventual zone, which refuses compare-and-set and fences`);
  }
  return compareEntry(state, condition, target) ?? checkFence(state, condition, path);
}

function compareEntry(
  state: MachineState,
  condition: Precondition,
  { path, entry }: { path: string; entry: Entry | undefined },
): Refusal | undefined {
  const revision = (index: number) => `revision ${revisionText(state.generation, index)}`;
  const failed = (wanted: string) => {
    const there = entry ? `a ${entry.type} of ${revision(entry.revision)}` : "nothing";
    const details: Record<string, string> = entry ? { revision: String(entry.revision), etag: hexOf(entry.etag) } : {};
    return refuse("PRECONDITION_FAILED", `${show(path)}: ${wanted} was demanded, ${there} stands there`, { details });
  };
  if (condition.ifNoneMatch && entry) return failed("that nothing stands there");
  if (condition.ifExists && !entry) return failed("that something stands there");
  if (condition.ifMatch.length > 0) {
    if (condition.ifMatch.length !== 32)
      return refuse("INVALID", `ifMatch has 32 bytes, ${condition.ifMatch.length} came`);
    if (!entry || !equalBytes(entry.etag, condition.ifMatch)) return failed(`etag ${hexOf(condition.ifMatch)}`);
  }
  if (condition.ifRevision !== undefined && (entry?.revision ?? 0) !== condition.ifRevision) {
    return failed(condition.ifRevision === 0 ? "that nothing stands there" : revision(condition.ifRevision));
  }
  return undefined;
}

function checkFence(state: MachineState, condition: Precondition, path: string): Refusal | undefined {
  if (condition.fenceCounter === 0) return undefined;
  if (condition.fenceGeneration !== state.generation) {
    const text = `the fence is of generation ${condition.fenceGeneration}, the zone is at ${state.generation}; acquire the lock again`;
    return refuse("GENERATION_CHANGED", text);
  }
  const lockPath = condition.lockPath === "" ? path : condition.lockPath;
  const refused = checkPath(state, lockPath);
  if (refused) return refused;
  const holders = readLock(state, lockPath)?.holders ?? [];
  if (holders.some((h) => h.counter === condition.fenceCounter && h.generation === condition.fenceGeneration))
    return undefined;
  return refuse("FENCED", `fence ${condition.fenceCounter} is not a current holder's of the lock ${show(lockPath)}`);
}
