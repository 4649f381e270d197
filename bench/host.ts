// Puts through the multi-Raft host alone: one process, two full members and a witness, real log files and RocksDB, the
// in-memory network. Prints only. Run: node bench/host.ts [clients ...]
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "@nexus-federation/proto/command.ts";
import { GroupHost } from "../node/src/group/host.ts";
import { MachineStates } from "../node/src/group/machine-states.ts";
import { NodeDisk } from "../node/src/log/disk-node.ts";
import { SegmentLog } from "../node/src/log/segment-log.ts";
import { BoxDatabase } from "../node/src/storage/database.ts";
import { RocksStore } from "../node/src/storage/rocks.ts";
import { MemoryNetwork } from "../node/src/transport/memory.ts";
import { calmFaults, MemoryHub } from "../node/src/transport/memory-hub.ts";
import { systemClock, systemRandom } from "../node/src/transport/system-clock.ts";
import { RecordStore } from "../node/src/witness/records.ts";
import { serveWitness } from "../node/src/witness/serve.ts";
import { WitnessServer } from "../node/src/witness/server.ts";
import { sleep } from "./processes.ts";

const seconds = 3;
const contentBytes = 256;
const folder = mkdtempSync(join(tmpdir(), "nexus-bench-host-"));
// Delays below a millisecond are the event loop's own here: timers would round them up.
const clock = {
  ...systemClock,
  after: (delayMs: number, fn: () => void) => {
    if (delayMs >= 1) return systemClock.after(delayMs, fn);
    let live = true;
    setImmediate(() => live && fn());
    return { cancel: () => (live = false) };
  },
};
const hub = new MemoryHub(clock, systemRandom, { ...calmFaults, delayMinMs: 0, delayMaxMs: 0 });
const incarnations = new Map(["a", "b", "w"].map((box) => [box, Buffer.from(systemRandom.bytes(16))]));
const onFatal = (error: unknown) => {
  throw error;
};

function diskAt(name: string): NodeDisk {
  mkdirSync(join(folder, name));
  return new NodeDisk(join(folder, name));
}

function network(box: string): MemoryNetwork {
  const incarnation = incarnations.get(box)!;
  const self = { federation: "bench", box, incarnation, featureLevel: 1, version: "1" };
  return new MemoryNetwork(hub, self, `${box}:1`);
}

async function startWitness(): Promise<void> {
  const store = await RecordStore.open(diskAt("w"), { recordsMax: 100 });
  const server = new WitnessServer({ store, newIncarnation: () => systemRandom.bytes(16), onFatal });
  network("w").onServe("witness", serveWitness(server));
}

async function startHost(box: string): Promise<GroupHost> {
  const { log, groups } = await SegmentLog.open(diskAt(`${box}-log`));
  const store = await RocksStore.open(join(folder, `${box}-state`));
  const database = await BoxDatabase.open({ store, clock, onFatal });
  const net = network(box);
  const host = new GroupHost(
    { box, incarnation: incarnations.get(box)! },
    {
      clock,
      random: systemRandom,
      log,
      states: new MachineStates(database),
      network: net,
      bulk: { sendSnapshot: async () => ({ code: "INTERNAL", message: "no snapshots here" }) },
      chunks: { has: () => true, fetch: async () => {} },
      diskLow: () => false,
      featureLevelOf: () => 1,
      onFatal,
    },
    { recovered: groups.values() },
  );
  host.start();
  for (const [other, incarnation] of incarnations) {
    if (other === box) continue;
    const services = other === "w" ? (["witness"] as const) : (["raft"] as const);
    net.setPeer({ box: other, endpoint: `${other}:1`, incarnation, services });
  }
  return host;
}

function command(path: string): Command {
  const content = Buffer.alloc(contentBytes, 1);
  const value = {
    path,
    content,
    chunks: [],
    size: content.length,
    etag: Buffer.alloc(32),
    contentType: "",
    metadata: {},
    condition: undefined,
    uploadIndex: 0,
  };
  const operation = { op: { $case: "write" as const, value } };
  return { requestId: Buffer.from(systemRandom.bytes(16)), requestTimeMs: 0, principal: "", logTimeMs: 0, operation };
}

function propose(host: GroupHost, what: Command): Promise<boolean> {
  return new Promise((resolve) =>
    host.propose(1, { command: what, timeoutMs: 5_000, done: (outcome) => resolve(outcome.kind === "applied") }),
  );
}

async function measure(host: GroupHost, clients: number): Promise<void> {
  let running = true;
  let count = 0;
  let failed = 0;
  const latencies: number[] = [];
  const client = (id: number) => {
    if (!running) return;
    const begun = performance.now();
    const what = command(`/c${id % 16}/f${count % 1000}`);
    what.requestTimeMs = host.view(1)?.logTimeMs ?? 0;
    host.propose(1, {
      command: what,
      timeoutMs: 5_000,
      done: (outcome) => {
        if (outcome.kind === "applied" && outcome.reply.result?.$case === "operation") count++;
        else if (failed++ === 0) console.log("not applied:", JSON.stringify(outcome).slice(0, 300));
        latencies.push(performance.now() - begun);
        client(id);
      },
    });
  };
  const before = process.cpuUsage();
  for (let id = 0; id < clients; id++) client(id);
  await sleep(seconds * 1000);
  running = false;
  latencies.sort((a, b) => a - b);
  const p = (share: number) => (latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(2);
  const rate = Math.round(count / seconds);
  // Both members and the clients are in this process: the time of a put is for all of them.
  const { user, system } = process.cpuUsage(before);
  const cpu = ((user + system) / Math.max(1, count)).toFixed(1);
  const times = `p50 ${p(0.5)} ms, p99 ${p(0.99)} ms, ${cpu} us of CPU a put`;
  console.log(`${clients} clients: ${rate} puts/s, ${times}, ${failed} not applied`);
  await sleep(200);
}

async function main(): Promise<void> {
  await startWitness();
  const hosts = [await startHost("a"), await startHost("b")];
  const members = ["a", "b", "w"].map((box, i) => ({
    replica: i + 1,
    box,
    incarnation: box === "w" ? Buffer.alloc(0) : incarnations.get(box)!,
    role: box === "w" ? "witness" : "voter",
  }));
  await sleep(200);
  const call = { log: 1, zone: "bench", federationUid: "bench", generation: 1, timing: "region", members };
  const refusal = await hosts[0]!.bootstrap(call);
  if (refusal !== undefined) throw new Error(refusal.message);
  const leads = () => hosts.find((host) => host.view(1)?.isLeader && host.view(1)?.witnessMode === "PAIR");
  while (leads() === undefined) await sleep(10);
  const leader = leads()!;
  const own = {
    ...command("/"),
    requestId: Buffer.alloc(0),
    operation: { op: { $case: "own" as const, value: ownAll } },
  };
  while (!(await propose(leader, own)));
  for (const clients of process.argv.slice(2).map(Number)) await measure(leader, clients);
}

const ownAll = { pattern: "/**", exclusions: [], epoch: 1 };
if (process.argv.length === 2) process.argv.push("1", "64", "256");
await main();
rmSync(folder, { recursive: true, force: true });
process.exit(0);
