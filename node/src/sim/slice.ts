import { planOf } from "./kinds.ts";
import { run } from "./run.ts";

/** Of the slice of seeds that every test run takes; `npm run sim` goes further. NEXUS_SIM_SEEDS and _FROM ask for others. */
const seeds = Number(process.env["NEXUS_SIM_SEEDS"] ?? 2_000);
const from = Number(process.env["NEXUS_SIM_FROM"] ?? 1);
/** Test files that share the slice, so that as many cores can. */
const parts = 2;
/** What one part may take on a slow machine; the seeds that were run until then are said. */
const budgetMs = 85_000;
/** For the last seed to end. */
export const sliceTimeoutMs = budgetMs + 60_000;

/** Runs one part of the slice. Throws at the first seed that fails. */
export async function runSlice(part: number): Promise<{ ran: number; done: number }> {
  const startedMs = performance.now();
  let [ran, done, seed] = [0, 0, from + part];
  for (; seed < from + seeds && performance.now() - startedMs < budgetMs; seed += parts) {
    const result = await run(planOf(seed));
    if (result.failure !== undefined) {
      throw new Error(`npm run sim -- --replay ${seed}: ${result.failure}`, { cause: result.failure });
    }
    ran++;
    done += result.done;
  }
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  console.log(`simulated ${ran} seeds, every ${parts}nd from ${from + part} to ${seed - parts}, in ${seconds} s`);
  return { ran, done };
}
