import type { Plan, PlannedFault } from "./plan.ts";
import { type RunResult, run } from "./run.ts";

/** Runs that a search for a shorter failing plan may take. */
const runsMax = 60;

/**
 * A shorter plan that still fails: fewer faults (halves, quarters, ... as delta debugging has it), an earlier end, fewer
 * clients. Whatever is left out shifts the draws of the run, so the failure may be another one; it is a failure.
 */
export async function shrink(plan: Plan): Promise<{ plan: Plan; result: RunResult }> {
  let best = plan;
  let result = await run(plan);
  let runs = 0;
  const fails = async (smaller: Plan) => {
    if (runs++ >= runsMax) return false;
    const tried = await run(smaller);
    if (tried.failure === undefined) return false;
    best = smaller;
    result = tried;
    return true;
  };
  for (let size = Math.ceil(plan.faults.length / 2); size >= 1 && runs < runsMax; size = Math.floor(size / 2)) {
    for (let at = 0; at < best.faults.length && runs < runsMax; ) {
      if (!(await fails({ ...best, faults: without(best.faults, at, size) }))) at += size;
    }
  }
  for (const share of [0.25, 0.5, 0.75]) {
    const spanMs = Math.floor(best.spanMs * share);
    if (await fails({ ...best, spanMs, faults: best.faults.filter((one) => one.atMs < spanMs) })) break;
  }
  while (best.lockClients > 0 && (await fails({ ...best, lockClients: best.lockClients - 1 })));
  while (best.clients > 1 && (await fails({ ...best, clients: best.clients - 1 })));
  return { plan: best, result };
}

function without(faults: readonly PlannedFault[], at: number, count: number): PlannedFault[] {
  return [...faults.slice(0, at), ...faults.slice(at + count)];
}
