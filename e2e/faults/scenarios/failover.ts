// How long writes stop when the leader is lost: from the fault to the next acknowledged write, over many leaders.
import { join } from "node:path";
import { pause, quantile, until } from "../../harness/run.ts";
import { Load } from "../loads/load.ts";
import { useRegister } from "../loads/registers.ts";
import type { Finding, Run, Scenario, World } from "../scenario.ts";
import { closeWorld, openWorld, wholeAgain } from "../world.ts";

/** Strikes and answers the moment of it; `mend` undoes it, or waits until the supervisor did. */
interface Blow {
  strike(): number;
  mend(): Promise<unknown>;
}
type Weapon = (world: World, leader: string) => Promise<Blow | string>;

/** A stopped or cut-off leader stays so for up to this time after writes go on: its stale leadership must do no harm. */
const staleMsMax = 1500;
/** When writes do not go on for so long, the leader is let go on first. */
const unaidedMsMax = 15_000;
const recoveryMsMax = 60_000;
/** Asked for by the specification. */
const p50MsMax = 500;
const p99MsMax = 1000;

const kill: Weapon = async ({ federation }, leader) => {
  const { pid } = await federation.box(leader);
  const strike = () => {
    const at = performance.now();
    process.kill(pid, "SIGKILL");
    return at;
  };
  return { strike, mend: () => federation.restarted(leader, pid) };
};

const stop: Weapon = async ({ federation, random }, leader) => {
  const { pid } = await federation.box(leader);
  const strike = () => {
    const at = performance.now();
    federation.freezePid(pid);
    return at;
  };
  const mend = async () => {
    await pause(random.unit() * staleMsMax);
    federation.thaw(pid);
  };
  return { strike, mend };
};

const cutOff: Weapon = async ({ network, random }, leader) => {
  if (typeof network === "string") return network;
  const strike = () => {
    const at = performance.now();
    network.split([leader], network.everyoneBut(leader));
    return at;
  };
  const mend = async () => {
    await pause(random.unit() * staleMsMax);
    network.heal();
  };
  return { strike, mend };
};

async function measure(run: Run, weapon: Weapon): Promise<Finding | string> {
  const wrong: string[] = [];
  const world = await openWorld(run);
  const { federation } = world;
  const settings = { client: () => federation.client(), random: run.random, path: "/failover" };
  const load = new Load({ ...settings, pauseMs: 20, timeoutMs: 10_000 }).add(6, useRegister);
  const gapsMs: number[] = [];
  let mendedFirst = 0;
  try {
    for (let i = 0; i < run.kills; i++) {
      run.stopped.throwIfAborted();
      await wholeAgain(world);
      // Elections are not to fall into step with the script.
      await pause(100 + run.random.unit() * 200);
      load.forgetAcknowledged();
      const blow = await weapon(world, await federation.leader());
      if (typeof blow === "string") return blow;
      const at = blow.strike();
      const recovered = (withinMs: number) =>
        until("a write is acknowledged again", () => load.recoveredAfter(at), withinMs);
      const gapMs = await recovered(unaidedMsMax).catch(() => undefined);
      await blow.mend();
      // A leader that was struck while it was SOLO leaves nobody who has everything: only its return helps.
      if (gapMs === undefined) mendedFirst++;
      gapsMs.push(gapMs ?? (await recovered(recoveryMsMax)));
      load.round++;
      run.progress(
        `${i + 1} of ${run.kills}, last ${gapsMs.at(-1)!.toFixed(0)} ms, ${figuresOf(gapsMs, load).p50Ms} ms p50`,
      );
    }
    await load.stop();
    wrong.push(...load.judge(join(run.folder, "registers.jsonl")));
  } finally {
    await load.stop();
    await closeWorld(world, wrong);
  }
  const [p50, p99] = [quantile(gapsMs, 0.5), quantile(gapsMs, 0.99)];
  if (p50 >= p50MsMax) wrong.push(`p50 is ${p50.toFixed(0)} ms, asked is less than ${p50MsMax}`);
  if (p99 >= p99MsMax) wrong.push(`p99 is ${p99.toFixed(0)} ms, asked is less than ${p99MsMax}`);
  return { figures: { ...figuresOf(gapsMs, load), mendedFirst }, wrong };
}

function figuresOf(gapsMs: number[], load: Load) {
  const of = (q: number) => Math.round(quantile(gapsMs, q));
  return {
    failovers: gapsMs.length,
    p50Ms: of(0.5),
    p99Ms: of(0.99),
    mostMs: of(1),
    answered: load.answered,
    refused: `${load.refused}`,
  };
}

const about = "time from the fault to the next acknowledged write";
export const failovers: Scenario[] = [
  { name: "failover-kill", about: `kill -9 of the leader: ${about}`, run: (run) => measure(run, kill) },
  { name: "failover-stop", about: `SIGSTOP of the leader: ${about}`, run: (run) => measure(run, stop) },
  { name: "failover-partition", about: `the leader cut off from all: ${about}`, run: (run) => measure(run, cutOff) },
];
