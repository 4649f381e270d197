// Two hosts of groups and a witness in one process: real log files and RocksDB, the in-memory network. What the benches of
// the multi-Raft host share.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
  const store = await RecordStore.open(diskAt("w"), { recordsMax: 10_000 });
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

export interface Pair {
  hosts: GroupHost[];
  /** Makes one group and tells who leads it, in PAIR. */
  group(log: number): Promise<GroupHost>;
  remove(): void;
}

export async function startPair(): Promise<Pair> {
  await startWitness();
  const hosts = [await startHost("a"), await startHost("b")];
  const members = ["a", "b", "w"].map((box, i) => ({
    replica: i + 1,
    box,
    incarnation: box === "w" ? Buffer.alloc(0) : incarnations.get(box)!,
    role: box === "w" ? "witness" : "voter",
  }));
  await sleep(200);
  const group = async (log: number) => {
    const call = { log, zone: `z${log}`, federationUid: "bench", generation: 1, timing: "region", members };
    const refusal = await hosts[0]!.bootstrap(call);
    if (refusal !== undefined) throw new Error(refusal.message);
    for (;;) {
      const leader = hosts.find((host) => host.view(log)?.isLeader && host.view(log)?.witnessMode === "PAIR");
      if (leader !== undefined) return leader;
      await sleep(10);
    }
  };
  return { hosts, group, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
