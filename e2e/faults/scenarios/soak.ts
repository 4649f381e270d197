// Use without end: what a process holds must level off. Files are written, overwritten and deleted at a steady rate, so
// that the data stays as large as it is.
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Federation } from "../../harness/federation.ts";
import { memoryBytes } from "../../harness/process-figures.ts";
import { pause } from "../../harness/run.ts";
import type { Desk } from "../loads/load.ts";
import { Load } from "../loads/load.ts";
import { boxes, type Finding, type Run, type Scenario } from "../scenario.ts";
import { closeWorld, openWorld } from "../world.ts";

const sampleMs = 5000;
const files = 400;
const largeBytes = 200_000;
/** Growth from the second quarter's mean to the last one's that counts as level, beside an absolute allowance. */
const growthMax = 0.25;
const allowance = { memoryMib: 40, descriptors: 10, diskMib: 150 };

type Kind = keyof typeof allowance;
type Sample = Record<Kind, number>;

async function useFiles({ load, client, number }: Desk): Promise<void> {
  const path = `${load.settings.path}/${number}/${load.below(files)}`;
  const invokedMs = performance.now();
  const { timeoutMs } = load.settings;
  try {
    if (load.chance(0.1)) await client.delete(path, { timeoutMs });
    else await client.put(path, Buffer.alloc(load.chance(0.02) ? largeBytes : load.below(2000), number), { timeoutMs });
    load.acknowledge(invokedMs);
  } catch (error) {
    load.outcomeOf(error);
  }
}

const mib = (bytes: number) => bytes / 1024 / 1024;

function sampleOfBox(federation: Federation, box: string, pid: number): Sample {
  return {
    memoryMib: mib(memoryBytes(pid)),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    diskMib: mib(bytesIn(federation.folder.box(box))),
  };
}

/** Files that vanish meanwhile count nothing. */
function bytesIn(folder: string): number {
  let sum = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const found = statSync(join(folder, name), { throwIfNoEntry: false });
    if (found?.isFile()) sum += found.blocks * 512;
  }
  return sum;
}

/** The sentence says what goes on growing. */
function growing(curve: readonly number[], kind: Kind): string | undefined {
  const mean = (from: number, to: number) => {
    const part = curve.slice(Math.floor(curve.length * from), Math.ceil(curve.length * to));
    return part.reduce((sum, each) => sum + each, 0) / Math.max(1, part.length);
  };
  const [before, after] = [mean(0.25, 0.5), mean(0.75, 1)];
  if (after <= before * (1 + growthMax) + allowance[kind]) return undefined;
  return `${kind} grew from ${before.toFixed(0)} (second quarter) to ${after.toFixed(0)} (last quarter)`;
}

async function measure(run: Run): Promise<Finding> {
  const wrong: string[] = [];
  const world = await openWorld(run);
  const { federation } = world;
  const settings = { client: () => federation.client(), random: run.random, path: "/soak" };
  const load = new Load({ ...settings, pauseMs: 10, timeoutMs: 10_000 }).add(8, useFiles);
  const curves = new Map<string, number[]>();
  try {
    const end = performance.now() + run.minutes * 60_000;
    while (performance.now() < end) {
      run.stopped.throwIfAborted();
      await pause(sampleMs);
      load.forgetAcknowledged();
      for (const box of boxes) {
        const sample = sampleOfBox(federation, box, (await federation.box(box)).pid);
        for (const [kind, value] of Object.entries(sample)) {
          const curve = curves.get(`${box} ${kind}`) ?? [];
          curves.set(`${box} ${kind}`, curve);
          curve.push(Math.round(value));
        }
      }
      run.progress(`${load.answered} calls answered; ${shown(curves)}`);
    }
    await load.stop();
    const restarts = (await federation.status()).boxes.reduce((sum, box) => sum + box.restarts, 0);
    if (restarts > 0) wrong.push(`${restarts} restarts`);
  } finally {
    await load.stop();
    await closeWorld(world, wrong);
  }
  writeFileSync(join(run.folder, "curves.json"), JSON.stringify(Object.fromEntries(curves)));
  for (const [name, curve] of curves) {
    const sentence = growing(curve, name.split(" ")[1] as Kind);
    if (sentence !== undefined) wrong.push(`${name.split(" ")[0]}: ${sentence}`);
  }
  return { figures: { answered: load.answered, firstAndLast: shown(curves) }, wrong: [...wrong, ...load.wrong] };
}

function shown(curves: ReadonlyMap<string, number[]>): string {
  return [...curves].map(([name, curve]) => `${name} ${curve[0]} > ${curve.at(-1)}`).join(", ");
}

export const soak: Scenario = {
  name: "soak",
  about: "steady use: memory, file descriptors and disk of each process level off",
  run: measure,
};
