// `npm run bench -- overload`: puts offered at four times the rate that 256 clients reach by waiting for their answers.
// What is asked: goodput that does not collapse, refusals that say OVERLOADED, and memory of the boxes that is bounded.
import { join } from "node:path";
import { memoryBytes } from "../e2e/harness/process-figures.ts";
import { Ours } from "./ours.ts";
import { type ReportRow, reportRow } from "./report.ts";

const clients = 256;
const seconds = 10;
/** Offered load as a multiple of the peak. */
const factor = 4;
const sampleMs = 200;

export async function measureOverload(work: string, say: (text: string) => void): Promise<ReportRow[]> {
  const ours = await Ours.start(join(work, "overload"));
  try {
    await ours.load("put", { clients, seconds: 3 });
    const peak = (await ours.load("put", { clients, seconds: 5 })).rate;
    const calmKib = residentKib(ours);
    let mostKib = calmKib;
    const sampler = setInterval(() => (mostKib = Math.max(mostKib, residentKib(ours))), sampleMs);
    say(`peak ${Math.round(peak)}/s; offering ${factor} times that for ${seconds} s`);
    const over = await ours.load("offer", { clients: 1, seconds, rate: peak * factor });
    clearInterval(sampler);
    say(`what became of the offers: ${JSON.stringify(over.outcomes)}`);
    const after = (await ours.load("put", { clients, seconds: 5 })).rate;
    const own = { clients: 1, unit: "ops/s", peerName: `peak of ${clients} waiting clients` };
    const memory = { clients: 1, unit: "MiB", peerName: "before", peer: [calmKib / 1024] };
    return [
      reportRow({ ...own, name: "offered", ours: [over.offered ?? 0], peer: [peak] }),
      reportRow({ ...own, name: "goodput while offered that", ours: [over.rate], peer: [peak] }),
      reportRow({ ...own, name: "put rate afterwards", clients, ours: [after], peer: [peak] }),
      reportRow({ ...memory, name: "memory of the larger box", ours: [mostKib / 1024] }),
    ];
  } finally {
    await ours.stop();
  }
}

function residentKib(ours: Ours): number {
  return Math.max(...["nexus-1", "nexus-2"].map((box) => memoryBytes(ours.pids().get(box)!))) / 1024;
}
