// `npm run bench -- groups`: the same boxes with 1, 10, 100 and 1000 groups (each a zone with a log of its own), the put
// rate spread over all of them, and what an idle group keeps in memory.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ours } from "./ours.ts";
import { sleep } from "./processes.ts";
import { type ReportRow, reportRow } from "./report.ts";

const counts = [1, 10, 100, 1000];
const clients = 64;
const seconds = 4;
/** Groups fall idle and garbage is collected in this time. */
const restMs = 10_000;

export async function measureGroups(work: string, say: (text: string) => void): Promise<ReportRow[]> {
  const ours = await Ours.start(join(work, "groups"));
  const rates: number[] = [];
  const memory: number[] = [];
  try {
    for (const count of counts) {
      say(`${count} groups`);
      await ours.apply(zones(count));
      await ours.load("touch", { clients: 16, seconds: 0, groups: count });
      await ours.load("put", { clients, seconds: 2, groups: count });
      rates.push((await ours.load("put", { clients, seconds, groups: count })).rate);
      await sleep(restMs);
      memory.push(residentKib(ours.pids().get("nexus-1")!));
    }
  } finally {
    await ours.stop();
  }
  const out = counts.map((count, i) =>
    reportRow({
      name: `put 256 B over ${count} groups`,
      clients,
      unit: "ops/s",
      target: count === 1 ? undefined : 0.5,
      peerName: "ours with 1 group",
      ours: [rates[i]!],
      peer: [rates[0]!],
    }),
  );
  const most = counts.at(-1)!;
  const perGroup = (memory.at(-1)! - memory[0]!) / (most - 1);
  const row = { name: `memory of a box for each idle group, of ${most}`, clients: 0, unit: "KiB" };
  out.push(reportRow({ ...row, peerName: "target: below 100 KiB", ours: [perGroup], peer: [] }));
  return out;
}

function zones(count: number): string {
  const one = (i: number) => `apiVersion: federation.nexus.io/v1alpha1
kind: ConsensusZone
metadata: { name: g${i} }
spec: { pathPattern: /g${i}/**, mode: strong_ha, raftGroup: main }
`;
  return Array.from({ length: count }, (_, i) => one(i)).join("---\n");
}

function residentKib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
}
