// `npm run bench -- groups [--counts 1,10,100,1000]`: the same boxes with more and more groups (each a zone with a log of
// its own), the put rate spread over all of them, and what an idle group keeps in memory.
import { join } from "node:path";
import { memoryBytes, processorMs } from "../e2e/harness/process-figures.ts";
import { Ours } from "./ours.ts";
import { sleep } from "./processes.ts";
import { type ReportRow, reportRow } from "./report.ts";

const clients = 64;
const seconds = 4;
/** Zones that are declared at a time, and the time that all of them may take: what exists by then is measured. */
const zonesAtOnce = 100;
const growMsMax = 6 * 60_000;
/** Groups fall idle and garbage is collected in this time. */
const restMs = 10_000;
/** The killed member is back, and all its groups have a leader again, well within this time. */
const awayMs = 15_000;

const kib = (bytes: number) => bytes / 1024;

/** `counts`: groups that there are at each step, ascending. */
export async function measureGroups(
  work: string,
  counts: readonly number[],
  say: (text: string) => void,
): Promise<ReportRow[]> {
  const ours = await Ours.start(join(work, "groups"));
  const grow = growth(ours, say);
  const steps: Step[] = [];
  let witness = { cores: 0, anonymousKib: 0 };
  try {
    for (const count of counts) {
      say(`${count} groups`);
      const before = kib(memoryBytes(ours.pids().get("nexus-1")!));
      const added = await grow(count);
      if (added === 0) break;
      const groups = added + (steps.at(-1)?.groups ?? 0);
      await ours.load("touch", { clients: 16, seconds: 0, groups });
      await sleep(restMs);
      // Before the load: afterwards a log keeps its newest entries, which is the load's memory, not the group's.
      const kibEach = (kib(memoryBytes(ours.pids().get("nexus-1")!)) - before) / added;
      await ours.load("put", { clients, seconds: 2, groups });
      const { rate } = await ours.load("put", { clients, seconds, groups });
      steps.push({ groups, rate, kibEach });
      say(`${groups} groups: ${Math.round(rate)} puts/s, ${Math.round(kibEach)} KiB of a box for each new one`);
      await sleep(restMs);
    }
    say("a member goes down and comes back");
    witness = await witnessMeanwhile(ours);
  } finally {
    await ours.stop();
  }
  return reported(steps, witness);
}

/** What was measured with so many groups. */
interface Step {
  groups: number;
  rate: number;
  /** Memory of a box for each group that was new. */
  kibEach: number;
}

/** Declares zones until there are `count`, a slice at a time, and tells how many that added. */
function growth(ours: Ours, say: (text: string) => void): (count: number) => Promise<number> {
  const end = performance.now() + growMsMax;
  let there = 0;
  return async (count) => {
    const former = there;
    while (there < count) {
      const next = Math.min(count, there + zonesAtOnce);
      const waitSeconds = Math.floor((end - performance.now()) / 1000);
      if (waitSeconds <= 0) break;
      try {
        await ours.apply(zones(there, next), waitSeconds);
      } catch (error) {
        say(`no more groups than ${there}: ${(error as Error).message}`);
        break;
      }
      there = next;
    }
    if (there < count) say(`${count} groups were not made within ${growMsMax / 60_000} minutes: ${there}`);
    return there - former;
  };
}

function reported(steps: readonly Step[], witness: { cores: number; anonymousKib: number }): ReportRow[] {
  const [first, last] = [steps[0], steps.at(-1)];
  if (first === undefined || last === undefined)
    throw new Error("no group was made in time: there is nothing to report");
  const out = steps.map((step) =>
    reportRow({
      name: `put 256 B over ${step.groups} groups`,
      clients,
      unit: "ops/s",
      target: step === first ? undefined : 0.5,
      peerName: `ours with ${first.groups}`,
      ours: [step.rate],
      peer: [first.rate],
    }),
  );
  const row = { name: `memory of a box for each idle group, of ${last.groups}`, clients: 0, unit: "KiB" };
  out.push(reportRow({ ...row, peerName: "target: below 100 KiB", ours: [last.kibEach], peer: [] }));
  const away = { clients: 0, ours: [witness.cores], peer: [] };
  const name = `witness of ${last.groups} groups while a member goes down and comes back`;
  out.push(reportRow({ ...away, name, unit: "cores", peerName: "target: at most 0.1" }));
  const own = { ...away, name: `${name}: memory of its own`, ours: [witness.anonymousKib / 1024] };
  out.push(reportRow({ ...own, unit: "MiB", peerName: "target: limit of 64" }));
  return out;
}

/** A data box is killed and started again by its supervisor. Memory that maps files is not counted: it can be given up. */
async function witnessMeanwhile(ours: Ours): Promise<{ cores: number; anonymousKib: number }> {
  const pids = ours.pids();
  const witness = pids.get("witness-1")!;
  const before = processorMs(witness);
  process.kill(pids.get("nexus-2")!, "SIGKILL");
  await sleep(awayMs);
  return { cores: (processorMs(witness) - before) / awayMs, anonymousKib: kib(memoryBytes(witness, "RssAnon")) };
}

/** Zones g<from> to g<to - 1>. */
function zones(from: number, to: number): string {
  const one = (i: number) => `apiVersion: federation.nexus.io/v1alpha1
kind: ConsensusZone
metadata: { name: g${i} }
spec: { pathPattern: /g${i}/**, mode: strong_ha, raftGroup: main }
`;
  return Array.from({ length: to - from }, (_, i) => one(from + i)).join("---\n");
}
