// A machine that is busy is no machine that is dead: with every core taken nobody may stand for election, as long as the
// boxes' own loops are not held up for half an election timeout.
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { pause } from "../../harness/run.ts";
import { Load } from "../loads/load.ts";
import { useRegister } from "../loads/registers.ts";
import { sampleOf } from "../metrics.ts";
import type { Finding, Run, Scenario } from "../scenario.ts";
import { closeWorld, openWorld, wholeAgain } from "../world.ts";

/** Half of the least election timeout of the `region` profile. */
const calmDelayMsMax = 75;
const sampleMs = 1000;

async function measure(run: Run): Promise<Finding> {
  const wrong: string[] = [];
  const world = await openWorld(run);
  const { federation } = world;
  const settings = { client: () => federation.client(), random: run.random, path: "/elections" };
  const load = new Load({ ...settings, pauseMs: 10, timeoutMs: 10_000 });
  const burners = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }),
  );
  const figures = { seconds: 0, secondsHeldUp: 0, elections: 0, electionsWhileCalm: 0, longestDelayMs: 0 };
  try {
    await wholeAgain(world);
    load.add(4, useRegister);
    let last = await sampleOf(federation);
    const end = performance.now() + run.minutes * 60_000;
    while (performance.now() < end) {
      run.stopped.throwIfAborted();
      await pause(sampleMs);
      const next = await sampleOf(federation);
      const delayMs = Math.max(last.loopDelayMs, next.loopDelayMs);
      const more = next.elections - last.elections;
      figures.seconds++;
      figures.elections += more;
      if (delayMs < calmDelayMsMax) figures.electionsWhileCalm += more;
      else figures.secondsHeldUp++;
      figures.longestDelayMs = Math.max(figures.longestDelayMs, Math.round(delayMs));
      last = next;
      run.progress(`${figures.seconds} s, ${figures.elections} elections, longest delay ${figures.longestDelayMs} ms`);
    }
    await load.stop();
  } finally {
    for (const burner of burners) burner.kill("SIGKILL");
    await load.stop();
    await closeWorld(world, wrong);
  }
  if (figures.electionsWhileCalm > 0) wrong.push(`${figures.electionsWhileCalm} elections while no loop was held up`);
  return { figures: { ...figures, answered: load.answered }, wrong };
}

export const elections: Scenario = {
  name: "elections",
  about: "every core taken: nobody stands for election while no event loop is held up",
  run: measure,
};
