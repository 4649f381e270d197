// Every kind of load at once under one kind of harm, again and again; then every history is judged by both checkers.
import { join } from "node:path";
import { pause } from "../../harness/run.ts";
import { writeTogether } from "../loads/batches.ts";
import { incrementUnderLock } from "../loads/counters.ts";
import { moveLargeFile } from "../loads/large-files.ts";
import { appendItem } from "../loads/lists.ts";
import { Load } from "../loads/load.ts";
import { useRegister } from "../loads/registers.ts";
import { holdSlot } from "../loads/semaphores.ts";
import { Watcher, writeWatched } from "../loads/watched.ts";
import type { Finding, Run, Scenario, World } from "../scenario.ts";
import type { Strike } from "../strikes/strike.ts";
import { closeWorld, openWorld, wholeAgain } from "../world.ts";

/** How long harm lasts, and the calm before the next. */
const harmMs = { least: 300, most: 3500 };
const calmMsMax = 500;

const steps = {
  registers: useRegister,
  lists: appendItem,
  counters: incrementUnderLock,
  semaphores: holdSlot,
  batches: writeTogether,
  watched: writeWatched,
  large: moveLargeFile,
};
const clientsOfEach = 2;

export function historyScenario(strike: Strike): Scenario {
  return {
    name: `history-${strike.name}`,
    about: `every load: ${strike.about}`,
    run: (run) => underStrikes(run, strike, (rounds, elapsedMs) => rounds > 0 && elapsedMs > run.minutes * 60_000),
  };
}

/** Strikes until `enough`. */
export async function underStrikes(
  run: Run,
  strike: Strike,
  enough: (rounds: number, elapsedMs: number) => boolean,
): Promise<Finding | string> {
  const preparation = strike.prepare?.() ?? {};
  if (typeof preparation === "string") return preparation;
  const world = await openWorld(run, preparation);
  const { federation } = world;
  const wrong: string[] = [];
  const client = () => federation.client();
  const load = new Load({ client, random: run.random, path: `/${strike.name}`, pauseMs: 30, timeoutMs: 5000 });
  const watcher = new Watcher(load, federation.client());
  let rounds = 0;
  try {
    await watcher.start();
    for (const step of Object.values(steps)) load.add(clientsOfEach, step);
    const began = performance.now();
    while (!enough(rounds, performance.now() - began)) {
      const refused = await round(world, strike);
      if (refused !== undefined) return refused;
      run.progress(`${++rounds} rounds, ${load.answered} calls answered, ${load.history.lines.length} lines`);
      load.round++;
      await pause(run.random.unit() * calmMsMax);
    }
    await load.stop();
    await watcher.finish();
    wrong.push(...load.judge(join(run.folder, "history.jsonl")));
  } finally {
    watcher.stop();
    await load.stop();
    await closeWorld(world, wrong);
  }
  return { figures: { rounds, ...figuresOf(load) }, wrong };
}

/** Harm, for a while, its end, and a federation that is whole again. */
async function round(world: World, strike: Strike): Promise<string | undefined> {
  const mend = await strike.strike(world);
  if (typeof mend === "string") return mend;
  try {
    await pause(harmMs.least + world.random.unit() * (harmMs.most - harmMs.least));
  } finally {
    await mend();
  }
  await wholeAgain(world);
  return undefined;
}

function figuresOf(load: Load) {
  const { lines } = load.history;
  const unknown = lines.filter((line) => line.event === "complete" && line.outcome === "unknown").length;
  return { answered: load.answered, historyLines: lines.length, unknown, refused: `${load.refused}` };
}
