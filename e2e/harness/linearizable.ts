// Real histories through the project's checker (node/src/sim/linearizable.ts), register by register: a history is
// linearizable exactly when each object's is.
import type { Call } from "../../node/src/sim/history.ts";
import { isLinearizable } from "../../node/src/sim/linearizable.ts";
import type { Completion, Line } from "./history.ts";

/** Calls of each path, in the order in which they were seen to begin. A call that never completed is of unknown fate. */
export function callsByPath(lines: readonly Line[]): Map<string, Call[]> {
  const completions = new Map<number, { line: Completion; place: number }>();
  for (const [place, line] of lines.entries()) if (line.event === "complete") completions.set(line.id, { line, place });
  const paths = new Map<string, Call[]>();
  for (const [place, line] of lines.entries()) {
    if (line.event !== "invoke") continue;
    const end = completions.get(line.id);
    const outcome = end?.line.outcome ?? "unknown";
    const calls = paths.get(line.path) ?? [];
    paths.set(line.path, calls);
    calls.push({
      client: line.client,
      kind: line.kind,
      path: line.path,
      value: line.kind === "read" ? (end?.line.value ?? "") : line.value,
      expected: line.expected,
      stale: false,
      local: false,
      invoked: place,
      returned: end?.place ?? lines.length,
      invokedMs: line.atMs,
      answeredMs: end?.line.atMs ?? Number.POSITIVE_INFINITY,
      outcome,
      code: end?.line.code ?? "",
      receipt: undefined,
    });
  }
  return paths;
}

/** Paths whose calls no order explains. */
export function wrongPaths(lines: readonly Line[]): string[] {
  return [...callsByPath(lines)].filter(([, calls]) => !isLinearizable(calls)).map(([path]) => path);
}
