import { parseArgs } from "node:util";
import { planOf } from "./plan.ts";
import { run } from "./run.ts";
import { Violation } from "./violation.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    replay: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});

const startedMs = performance.now();
let virtualMs = 0;
let calls = 0;
let failed = 0;
const from = Number(values.replay ?? values.from);
const count = values.replay === undefined ? Number(values.seeds) : 1;
for (let seed = from; seed < from + count; seed++) {
  const result = await run(planOf(seed), { verbose: values.replay !== undefined });
  virtualMs += result.virtualMs;
  calls += result.calls;
  if (values.replay !== undefined) {
    console.log(result.world.trace.lines.join("\n"));
    console.log(`trace ${result.hash}, ${result.notes} notes, ${result.calls} calls (${result.done} done)`);
  }
  if (result.failure === undefined) continue;
  failed++;
  const { failure } = result;
  const text = failure instanceof Violation ? failure.message : failure instanceof Error ? failure.stack : String(failure);
  console.log(`seed ${seed} (trace ${result.hash}): ${text}`);
  if (!values.keep) break;
}
const seconds = (performance.now() - startedMs) / 1000;
console.log(`${count} seeds, ${failed} failed; ${calls} calls; ${(virtualMs / 1000).toFixed(0)} virtual s in ${seconds.toFixed(1)} s`);
process.exitCode = failed > 0 ? 1 : 0;
