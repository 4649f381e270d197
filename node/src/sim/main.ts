import { writeFile } from "node:fs/promises";
import { readFlags } from "../../../test/flags.ts";
import { planOf } from "./kinds.ts";
import type { Plan } from "./plan.ts";
import { type RunResult, run } from "./run.ts";
import { shrink } from "./shrink.ts";
import { Violation } from "./violation.ts";

const { flags: values } = readFlags({
  command: "npm run sim --",
  about:
    "Whole federations in one thread, over simulated clocks, networks and disks; docs/concepts/simulation.md. Stops at the\n" +
    "first seed that fails; the same seed fails again in the same way.",
  flags: {
    seeds: { about: "seeds to run", count: 200 },
    from: { about: "the first of them", count: 1, least: 0 },
    kind: { about: "only seeds of that kind: mixed, partition, elections, members, solo, locks, ...", value: "NAME" },
    keep: { about: "goes on after a seed that failed" },
    shrink: { about: "looks for a shorter plan that fails too" },
    replay: {
      about: "prints everything that happens in one run, made twice to see that both are the same",
      value: "SEED",
    },
    trace: { about: "where a replay's text goes; else it is printed", value: "FILE" },
  },
});
if (values.replay !== undefined && !/^\d+$/.test(values.replay)) {
  process.stderr.write(`--replay: the number of a seed is expected, not "${values.replay}"\n`);
  process.exit(2);
}

function textOf(failure: unknown): string {
  if (failure instanceof Violation) return failure.message;
  return failure instanceof Error ? (failure.stack ?? failure.message) : String(failure);
}

function report({ seed, kind, hash, failure }: RunResult): void {
  console.log(`seed ${seed} (${kind}, trace ${hash}): ${textOf(failure)}`);
}

async function shorten(plan: Plan): Promise<void> {
  const { plan: short, result } = await shrink(plan);
  console.log(`shortened to ${short.faults.length} of ${plan.faults.length} faults in ${short.spanMs} ms:`);
  for (const { atMs, fault } of short.faults) console.log(`  at ${atMs}: ${JSON.stringify(fault)}`);
  report(result);
}

async function replay(seed: number): Promise<boolean> {
  const result = await run(planOf(seed), { verbose: true });
  const again = await run(planOf(seed));
  const { lines } = result.world.trace;
  if (values.trace === undefined) console.log(lines.join("\n"));
  else await writeFile(values.trace, lines.join("\n"));
  console.log(
    `${result.notes} notes, trace ${result.hash}, again ${again.hash}; ${result.calls} calls, ${result.done} done`,
  );
  if (result.hash !== again.hash) console.log(`NOT DETERMINISTIC: the two runs of seed ${seed} differ`);
  if (result.failure !== undefined) report(result);
  return result.failure === undefined && result.hash === again.hash;
}

async function sweep(from: number, count: number): Promise<boolean> {
  const startedMs = performance.now();
  let [ran, failed, virtualMs, calls, holds] = [0, 0, 0, 0, 0];
  for (let seed = from; seed < from + count; seed++) {
    const plan = planOf(seed);
    if (values.kind !== undefined && plan.kind !== values.kind) continue;
    const result = await run(plan);
    ran++;
    virtualMs += result.virtualMs;
    calls += result.calls;
    holds += result.holds;
    if (result.failure === undefined) continue;
    failed++;
    report(result);
    if (values.shrink) await shorten(plan);
    if (!values.keep) break;
  }
  const seconds = (performance.now() - startedMs) / 1000;
  const speed = `${(ran / seconds).toFixed(1)} seeds/s, ${(virtualMs / 1000 / seconds).toFixed(0)} times real time`;
  console.log(
    `${ran} seeds from ${from}, ${failed} failed; ${calls} calls, ${holds} locks held; ${seconds.toFixed(1)} s (${speed})`,
  );
  if (ran === 0) console.log(`none of these seeds is of kind ${values.kind}`);
  return failed === 0 && ran > 0;
}

const good = values.replay === undefined ? await sweep(values.from, values.seeds) : await replay(Number(values.replay));
process.exitCode = good ? 0 : 1;
