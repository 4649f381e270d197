// `npm run bench -- groups [--counts 1,10,100,1000]`: the same boxes with more and more groups (each a zone with a log of
// its own), the put rate spread over all of them, and what an idle group keeps in memory.
import { join } from "node:path";
import { memoryBytes, processorMs } from "../e2e/harness/process-figures.ts";
import { Ours } from "./ours.ts";
import { sleep } from "./processes.ts";
import { type ReportRow, reportRow } from "./report.ts";

const clients = 64;
const seconds = 4;
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
  const rates: number[] = [];
  const memory: number[] = [];
  let former = 0;
  let witness = { cores: 0, anonymousKib: 0 };
  try {
    for (const count of counts) {
      say(`${count} groups`);
      const before = kib(memoryBytes(ours.pids().get("nexus-1")!));
      await ours.apply(zones(count));
      await ours.load("touch", { clients: 16, seconds: 0, groups: count });
      await sleep(restMs);
      // Before the load: afterwards a log keeps its newest entries, which is the load's memory, not the group's.
      memory.push((kib(memoryBytes(ours.pids().get("nexus-1")!)) - before) / (count - former));
      former = count;
      await ours.load("put", { clients, seconds: 2, groups: count });
      rates.push((await ours.load("put", { clients, seconds, groups: count })).rate);
      await sleep(restMs);
    }
    say("a member goes down and comes back");
    witness = await witnessMeanwhile(ours);
  } finally {
    await ours.stop();
  }
  const out = counts.map((count, i) =>
    reportRow({
      name: `put 256 B over ${count} groups`,
      clients,
      unit: "ops/s",
      target: i === 0 ? undefined : 0.5,
      peerName: `ours with ${counts[0]}`,
      ours: [rates[i]!],
      peer: [rates[0]!],
    }),
  );
  const row = { name: `memory of a box for each idle group, of ${counts.at(-1)}`, clients: 0, unit: "KiB" };
  out.push(reportRow({ ...row, peerName: "target: below 100 KiB", ours: [memory.at(-1)!], peer: [] }));
  const away = { clients: 0, ours: [witness.cores], peer: [] };
  const name = `witness of ${counts.at(-1)} groups while a member goes down and comes back`;
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

function zones(count: number): string {
  const one = (i: number) => `apiVersion: federation.nexus.io/v1alpha1
kind: ConsensusZone
metadata: { name: g${i} }
spec: { pathPattern: /g${i}/**, mode: strong_ha, raftGroup: main }
`;
  return Array.from({ length: count }, (_, i) => one(i)).join("---\n");
}
