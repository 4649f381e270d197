import { expect, test } from "vitest";
import { planOf } from "./plan.ts";
import { run } from "./run.ts";

/**
 * A slice of the simulation for every test run; `npm run sim` goes further. NEXUS_SIM_SEEDS and _FROM ask for others.
 * Seed 658 is open: a follower that lost acknowledged entries to a flipped bit stays behind.
 */
const seeds = Number(process.env["NEXUS_SIM_SEEDS"] ?? 500);
const from = Number(process.env["NEXUS_SIM_FROM"] ?? 1);
/** What a slice may take; the seeds that were run until then are said. */
const budgetMs = 120_000;

test(
  "federations keep every promise under random faults",
  async () => {
    const startedMs = performance.now();
    let seed = from;
    let calls = 0;
    for (; seed < from + seeds && performance.now() - startedMs < budgetMs; seed++) {
      const result = await run(planOf(seed));
      if (result.failure !== undefined) {
        throw new Error(`npm run sim -- --replay ${seed}: ${result.failure}`, { cause: result.failure });
      }
      calls += result.done;
    }

    console.log(`simulated ${seed - from} seeds from ${from}, ${calls} calls were executed`);
    expect(calls).toBeGreaterThan((seed - from) * 10);
  },
  budgetMs + 30_000,
);

test("a seed replays exactly", async () => {
  for (const seed of [3, 8, 28]) {
    const [once, again] = [await run(planOf(seed)), await run(planOf(seed), { verbose: true })];

    expect(again.hash).toBe(once.hash);
    expect(again.notes).toBe(once.notes);
  }
});
