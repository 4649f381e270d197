// How long writes are refused, or wait, when leadership is handed over on purpose.
import { join } from "node:path";
import type { Gap } from "../../harness/answers.ts";
import { pause, quantile, until } from "../../harness/run.ts";
import { Load } from "../loads/load.ts";
import { useRegister } from "../loads/registers.ts";
import { type Finding, otherThan, type Run, type Scenario, type World } from "../scenario.ts";
import { closeWorld, openWorld, wholeAgain } from "../world.ts";

/** Asked for by the specification. */
const p99MsMax = 100;
/** Clients at once, each with a write under way or a moment from its next. */
const writers = 6;
const pauseMs = 4;
const handedOverMsMax = 30_000;

/** Hands over and returns when another box leads. */
type Handover = (world: World, leader: string) => Promise<unknown>;

const byCommand: Handover = ({ federation }, leader) => federation.ok(["switchover", "root", otherThan(leader)]);

const byStop: Handover = async ({ federation }, leader) => {
  const { pid } = await federation.box(leader);
  process.kill(pid, "SIGTERM");
  await until(
    "the other box leads",
    async () => (await federation.group()).leader === otherThan(leader),
    handedOverMsMax,
  );
  await federation.restarted(leader, pid);
};

async function measure(run: Run, handOver: Handover): Promise<Finding> {
  const wrong: string[] = [];
  const world = await openWorld(run);
  const { federation } = world;
  const settings = { client: () => federation.client(), random: run.random, path: "/switchover" };
  const load = new Load({ ...settings, pauseMs, timeoutMs: 10_000 }).add(writers, useRegister);
  const gaps: Gap[] = [];
  const calmMs: number[] = [];
  const refusals: string[] = [];
  try {
    for (let i = 0; i < run.kills; i++) {
      run.stopped.throwIfAborted();
      await wholeAgain(world);
      load.forgetAcknowledged();
      // What the machine itself does to writes in as long a time; the figures are read beside it.
      const calmFrom = performance.now();
      await pause(600 + run.random.unit() * 200);
      const from = performance.now();
      calmMs.push(load.longestGap(calmFrom, from).ms);
      const leader = await federation.leader();
      // It may be refused, or stay without an answer; what writers saw counts all the same.
      await handOver(world, leader).catch((error) => refusals.push((error as Error).message.split("\n")[0] ?? ""));
      const gap = load.longestGap(from, performance.now());
      gaps.push(gap);
      load.round++;
      run.progress(`${i + 1} of ${run.kills}, last ${gap.ms.toFixed(0)} ms`);
    }
    await load.stop();
    wrong.push(...load.judge(join(run.folder, "registers.jsonl")));
  } finally {
    await load.stop();
    await closeWorld(world, wrong);
  }
  const gapsMs = gaps.map(({ ms }) => ms);
  const p99 = quantile(gapsMs, 0.99);
  if (p99 >= p99MsMax) wrong.push(`p99 is ${p99.toFixed(0)} ms without a write, asked is less than ${p99MsMax}`);
  const of = (list: number[], q: number) => Math.round(quantile(list, q));
  // Of the request itself, or of the box that comes back and takes a processor?
  const longest = gaps
    .toSorted((a, b) => b.ms - a.ms)
    .slice(0, 5)
    .map(({ ms, afterMs }) => `${ms.toFixed(0)} at ${afterMs.toFixed(0)}`)
    .join(", ");
  const figures = {
    handovers: gapsMs.length,
    p50Ms: of(gapsMs, 0.5),
    p99Ms: of(gapsMs, 0.99),
    mostMs: of(gapsMs, 1),
    longestAfterRequestMs: longest,
  };
  return {
    figures: {
      ...figures,
      calmP50Ms: of(calmMs, 0.5),
      calmP99Ms: of(calmMs, 0.99),
      refused: refusals.length,
      lastRefusal: refusals.at(-1) ?? "",
    },
    wrong,
  };
}

const about = "longest time without an acknowledged write";
export const switchovers: Scenario[] = [
  { name: "switchover", about: `nexus switchover: ${about}`, run: (run) => measure(run, byCommand) },
  { name: "graceful-stop", about: `SIGTERM of the leader: ${about}`, run: (run) => measure(run, byStop) },
];
