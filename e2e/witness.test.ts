// The bundled witness as `nexus up` runs it, under 64 MiB, with 1000 groups under votes over the real transport.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TlsNetwork } from "@nexus-federation/node/transport/network.ts";
import { systemClock, systemRandom } from "@nexus-federation/node/transport/system-clock.ts";
import { FrameKind, frameBytes, readFrame } from "@nexus-federation/node/witness/format.ts";
import { Folder } from "@nexus-federation/operator/backends/local/folder.ts";
import { Identities } from "@nexus-federation/operator/backends/local/identities.ts";
import { Ports } from "@nexus-federation/operator/backends/local/ports.ts";
import { Programs } from "@nexus-federation/operator/backends/local/programs.ts";
import {
  WitnessBatch,
  WitnessBatchReply,
  type WitnessReply,
  type WitnessRequest,
} from "@nexus-federation/proto/raft.ts";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ColdProgram, coldProgram } from "./harness/cold-program.ts";
import { type MemoryGroup, memoryGroup } from "./harness/memory-limit.ts";
import { memoryBytes } from "./harness/process-figures.ts";
import { pause } from "./harness/run.ts";

const groups = 1000;
/** Votes in one batch: what one turn of a host asks. */
const batchSize = 50;
const batchesUnderWay = 4;
const rounds = 10;
const limitBytes = 64 * 1024 * 1024;
const none = Buffer.alloc(0);
const [first, second] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)] as const;

let folder: Folder;
let group: MemoryGroup | string;
let node: ColdProgram | string;
let child: ChildProcess | undefined;
let network: TlsNetwork | undefined;

beforeEach(() => {
  folder = new Folder(mkdtempSync(join(tmpdir(), "nexus-witness-")));
  folder.create();
  group = memoryGroup(`nexus-witness-${process.pid}`, limitBytes);
  node = coldProgram(process.execPath, join(folder.root, "node"));
});
afterEach(async () => {
  await network?.stop();
  await kill();
  if (typeof group !== "string") group.remove();
  if (typeof node !== "string") node.remove();
  rmSync(folder.root, { recursive: true, force: true });
});

async function kill(): Promise<void> {
  const running = child;
  child = undefined;
  if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
  running.kill("SIGKILL");
  await once(running, "exit");
}

/** Starts the witness with the flags of programs.ts, inside the group and with a Node of its own when they could be had. */
async function startWitness(identities: Identities): Promise<number> {
  const certificates = await identities.box("w", Date.now());
  const ports = await new Ports(folder.ports, systemRandom).ensure("w", "Witness");
  const programs = new Programs(folder, { federation: "acme", detached: true });
  const box = { name: "w", role: "Witness", region: "r", cluster: "default", ports, certificates, peers: [] } as const;
  const spec = await programs.prepare({ ...box, peers: [] });
  const program = { command: typeof node === "string" ? spec.command : node.path, args: [...spec.args] };
  const { command, args } = typeof group === "string" ? program : group.wrap(program.command, program.args);
  child = spawn(command, args, { env: { ...process.env, ...spec.env }, stdio: ["ignore", "ignore", "inherit"] });
  return ports.peer;
}

interface Answer {
  log: number;
  reply: WitnessReply;
  /** From sending the batch. */
  tookMs: number;
}

/** Sends batches on one link and pairs replies with requests. */
class Voter {
  readonly #network: TlsNetwork;
  readonly #open = new Map<number, (reply: WitnessReply) => void>();
  #sequence = 1;

  constructor(peers: TlsNetwork) {
    this.#network = peers;
    peers.onLink("witness", {
      up: () => {},
      down: () => {},
      frame: (_from, bytes) => {
        for (const reply of WitnessBatchReply.decode(bytes).replies) {
          this.#open.get(reply.sequence)?.(reply);
          this.#open.delete(reply.sequence);
        }
      },
    });
  }

  async connected(): Promise<void> {
    while (!this.#network.isUp("witness", "w")) await pause(10);
  }

  /** Each reply with the time from sending to it, ms. */
  batch(asked: Omit<WitnessRequest, "sequence">[]): Promise<Answer[]> {
    const requests = asked.map((request) => ({ ...request, sequence: this.#sequence++ }));
    const started = performance.now();
    const answers = requests.map(
      ({ sequence, log }) =>
        new Promise<Answer>((resolve) => {
          this.#open.set(sequence, (reply) => resolve({ log, reply, tookMs: performance.now() - started }));
        }),
    );
    expect(this.#network.send("witness", "w", WitnessBatch.encode({ requests }).finish())).toBe(true);
    return Promise.all(answers);
  }

  /** The same request of every group, a few batches under way at a time. */
  async everyGroup(make: (log: number) => Omit<WitnessRequest, "sequence">) {
    const logs = Array.from({ length: groups }, (_, index) => index + 1);
    const batches = Array.from({ length: groups / batchSize }, (_, i) =>
      logs.slice(i * batchSize, (i + 1) * batchSize),
    );
    const answers: Answer[] = [];
    const lane = async () => {
      for (let batch = batches.pop(); batch !== undefined; batch = batches.pop())
        answers.push(...(await this.batch(batch.map(make))));
    };
    await Promise.all(Array.from({ length: batchesUnderWay }, lane));
    return answers;
  }
}

async function connect(identities: Identities, port: number, incarnation = first): Promise<Voter> {
  const credentials = await identities.box("a", Date.now()).then(() => identities.credentials("a"));
  const self = { federation: "acme", box: "a", incarnation, featureLevel: 1, version: "test" };
  network = new TlsNetwork({ clock: systemClock, random: systemRandom, self, credentials: () => credentials });
  const voter = new Voter(network);
  network.setPeer({ box: "w", endpoint: `127.0.0.1:${port}`, incarnation: none, services: ["witness"] });
  await voter.connected();
  return voter;
}

const voteOf = (candidate: Buffer, term: number, incarnations: Buffer[]) => (log: number) => {
  const value = { term, candidate, lastTerm: term, lastEpoch: 0, pre: false };
  return { log, generation: 1, incarnation: incarnations[log - 1]!, op: { $case: "vote", value } as const };
};

test("under 64 MiB the witness votes for 1000 groups with less than 100 bytes of state a group", async () => {
  if (typeof group === "string") console.warn(`NOT UNDER A MEMORY LIMIT: ${group}; the rest of the test runs without`);
  if (typeof node === "string") console.warn(`NODE'S OWN PAGES ARE NOT CHARGED: ${node}`);
  const identities = await Identities.open(folder, "acme", { nowMs: Date.now() });
  let voter = await connect(identities, await startWitness(identities));

  const joined = await voter.everyGroup((log) => ({
    log,
    generation: 1,
    incarnation: none,
    op: { $case: "join", value: { named: [] } },
  }));
  const incarnations: Buffer[] = [];
  for (const { log, reply } of joined) incarnations[log - 1] = Buffer.from(reply.incarnation);
  expect(new Set(incarnations.map((each) => each.toString("hex"))).size).toBe(groups);
  const took: number[] = [];
  const p = (part: number, of: number[]) => of.toSorted((a, b) => a - b)[Math.floor(of.length * part)]!;
  let bestP99 = Number.POSITIVE_INFINITY;
  const started = performance.now();
  for (let term = 2; term < 2 + rounds; term++) {
    const answers = await voter.everyGroup(voteOf(first, term, incarnations));
    expect(answers.every(({ reply }) => reply.ok && reply.term === term)).toBe(true);
    const round = answers.map(({ tookMs }) => tookMs);
    bestP99 = Math.min(bestP99, p(0.99, round));
    took.push(...round);
  }
  const perSecond = (took.length * 1000) / (performance.now() - started);
  const resident = memoryBytes(child!.pid!);
  const own = memoryBytes(child!.pid!, "RssAnon");
  const peak = typeof group === "string" ? 0 : group.peakBytes();

  const mib = (bytes: number) => (bytes / 1024 / 1024).toFixed(1);
  console.log(
    `witness: ${groups} groups, ${took.length} votes, ${perSecond.toFixed(0)}/s, p50 ${p(0.5, took).toFixed(1)} ms, ` +
      `p99 ${p(0.99, took).toFixed(1)} ms (best round ${bestP99.toFixed(1)}), RSS ${mib(resident)} MiB (${mib(own)} its own), peak of its group ${mib(peak)} MiB`,
  );
  expect(bestP99).toBeLessThan(250);
  expect(own).toBeLessThan(limitBytes * 0.75);
  if (typeof group !== "string") expect(group.kills()).toBe(0);

  // Killed in the middle of nothing, it remembers every vote.
  await network?.stop();
  await kill();
  voter = await connect(identities, await startWitness(identities), second);
  const again = await voter.everyGroup(voteOf(second, 1 + rounds, incarnations));
  expect(again.filter(({ reply }) => reply.ok)).toEqual([]);
  expect([...new Set(again.map(({ reply }) => `${reply.error} ${reply.term}`))]).toEqual([` ${1 + rounds}`]);
  expect(stateBytes() / groups).toBeLessThan(100);
});

/** Length of the snapshot of all records on disk. */
function stateBytes(): number {
  const at = join(folder.box("w"), "witness");
  for (const name of readdirSync(at)) {
    const frame = readFrame(readFileSync(join(at, name)), 0);
    if (frame?.kind !== FrameKind.Snapshot || frame.changes.length !== groups) continue;
    expect(frame.lengthBytes).toBe(frameBytes(groups));
    return frame.lengthBytes;
  }
  throw new Error(`no snapshot of ${groups} records in ${at}`);
}
