// Real histories through the project's checker (node/src/sim/linearizable.ts), path by path: a history is linearizable
// exactly when each object's is.
import { isExplained } from "../../node/src/sim/linearizable.ts";
import type { Completion, Line } from "./history.ts";
import { type ModelCall, models } from "./models.ts";

/** Calls of each path, in the order in which they were seen to begin. A call that never completed is of unknown fate. */
function callsByPath(lines: readonly Line[]): Map<string, ModelCall[]> {
  const completions = new Map<number, { line: Completion; place: number }>();
  for (const [place, line] of lines.entries()) if (line.event === "complete") completions.set(line.id, { line, place });
  const paths = new Map<string, ModelCall[]>();
  for (const [place, line] of lines.entries()) {
    if (line.event !== "invoke") continue;
    const end = completions.get(line.id);
    const { client, kind, path, expected, model = "register", slots = 1 } = line;
    const calls = paths.get(path) ?? [];
    paths.set(path, calls);
    calls.push({
      ...{ client, kind, path, expected, model, slots },
      value: kind === "read" ? (end?.line.value ?? "") : line.value,
      invoked: place,
      returned: end?.place ?? lines.length,
      outcome: end?.line.outcome ?? "unknown",
    });
  }
  return paths;
}

/** Paths whose calls no order explains. */
export function wrongPaths(lines: readonly Line[]): string[] {
  const wrong = [...callsByPath(lines)].filter(([, calls]) => !isExplained(calls, models[calls[0]!.model]));
  return wrong.map(([path]) => path);
}
