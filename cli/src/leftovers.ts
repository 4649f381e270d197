// Processes of a detached federation whose supervisor ended without a word: they serve on until somebody adopts or ends
// them.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Folder } from "@nexus-federation/operator/backends/local/folder.ts";
import { LocalError } from "@nexus-federation/operator/backends/local/local-error.ts";
import {
  type ProcessIdentity,
  readIdentity,
  signalProcess,
  startTimeOf,
} from "@nexus-federation/operator/backends/local/process-info.ts";

/** Time to stop in order, then until the kernel has taken them away, and how often they are looked at, ms. */
const stopMs = 5_000;
const killMs = 5_000;
const lookMs = 50;

/** Those of the folder that run. Its supervisor is none of them. */
export function leftovers(folder: Folder): ProcessIdentity[] {
  const files = names(folder).map((name) => join(folder.run, name));
  return files.flatMap((file) => {
    const left = file === folder.claim ? undefined : readIdentity(file);
    return left !== undefined && startTimeOf(left.pid) === left.startTime ? [left] : [];
  });
}

/** Ends them, by force those that take too long. Only whoever has claimed the folder may. Throws DEADLINE. */
export async function endLeftovers(folder: Folder): Promise<void> {
  for (const [signal, withinMs] of [
    ["SIGTERM", stopMs],
    ["SIGKILL", killMs],
  ] as const) {
    for (const left of leftovers(folder)) signalProcess(left, signal);
    const until = performance.now() + withinMs;
    while (leftovers(folder).length > 0 && performance.now() < until) await new Promise((go) => setTimeout(go, lookMs));
  }
  const pids = leftovers(folder).map(({ pid }) => pid);
  if (pids.length > 0)
    throw new LocalError("DEADLINE", `processes of the federation still run (pid ${pids.join(", ")}); try again`);
}

function names({ run }: Folder): string[] {
  try {
    return readdirSync(run);
  } catch {
    return [];
  }
}
