// Puts through the multi-Raft host alone: one process, two full members and a witness, real log files and RocksDB, the
// in-memory network. Prints only; the least CPU of the rounds counts beside other work. `--profile FILE`: a .cpuprofile of the
// measured rounds alone. Run: node bench/host.ts [--groups N] [--rounds N] [--profile FILE] [clients ...]
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { parseArgs } from "node:util";
import type { Command } from "@nexus-federation/proto/command.ts";
import type { GroupHost } from "../node/src/group/host.ts";
import { systemRandom } from "../node/src/transport/system-clock.ts";
import { startPair } from "./hosts.ts";
import { sleep } from "./processes.ts";

const seconds = 3;
const contentBytes = 256;
const samplingMicroseconds = 200;

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

function propose(host: GroupHost, log: number, what: Command): Promise<boolean> {
  return new Promise((resolve) =>
    host.propose(log, { command: what, timeoutMs: 5_000, done: (outcome) => resolve(outcome.kind === "applied") }),
  );
}

/** Terms and epochs of all logs: grows with every election and every change between PAIR and SOLO. */
function unrest(leaders: readonly GroupHost[]): number {
  let sum = 0;
  for (const [at, host] of leaders.entries()) sum += (host.view(at + 1)?.term ?? 0) + (host.view(at + 1)?.epoch ?? 0);
  return sum;
}

/** `leaders[i]` leads log i + 1; puts go to all logs in turn. */
async function measure(leaders: readonly GroupHost[], clients: number): Promise<void> {
  let running = true;
  let count = 0;
  let failed = 0;
  const latencies: number[] = [];
  let turn = 0;
  const client = (id: number) => {
    if (!running) return;
    const at = turn++ % leaders.length;
    const [host, log] = [leaders[at]!, at + 1];
    const begun = performance.now();
    const what = command(`/c${id % 16}/f${count % 1000}`);
    what.requestTimeMs = host.view(log)?.logTimeMs ?? 0;
    host.propose(log, {
      command: what,
      timeoutMs: 5_000,
      done: (outcome) => {
        if (outcome.kind === "applied" && outcome.reply.result?.$case === "operation") count++;
        else if (failed++ === 0) console.log("not applied:", JSON.stringify(outcome).slice(0, 300));
        latencies.push(performance.now() - begun);
        setImmediate(client, id);
      },
    });
  };
  const former = unrest(leaders);
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
  const changes = unrest(leaders) - former;
  console.log(`${clients} clients: ${rate} puts/s, ${times}, ${failed} not applied, ${changes} terms and epochs`);
  await sleep(200);
}

async function main(groups: number, clientCounts: readonly number[]): Promise<void> {
  const pair = await startPair();
  const own = {
    ...command("/"),
    requestId: Buffer.alloc(0),
    operation: { op: { $case: "own" as const, value: ownAll } },
  };
  const leaders: GroupHost[] = [];
  for (let log = 1; log <= groups; log++) {
    const leader = await pair.group(log);
    while (!(await propose(leader, log, own)));
    leaders.push(leader);
  }
  const stopProfile = values.profile === undefined ? undefined : await startProfile(values.profile);
  for (const clients of clientCounts) {
    for (let round = 0; round < Number(values.rounds); round++) await measure(leaders, clients);
  }
  await stopProfile?.();
  pair.remove();
}

/** Of this process, until the function that comes back is called. */
async function startProfile(file: string): Promise<() => Promise<void>> {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: samplingMicroseconds });
  await session.post("Profiler.start");
  return async () => {
    const { profile } = await session.post("Profiler.stop");
    writeFileSync(file, JSON.stringify(profile));
  };
}

const ownAll = { pattern: "/**", exclusions: [], epoch: 1 };
const { values, positionals } = parseArgs({
  options: {
    groups: { type: "string", default: "1" },
    rounds: { type: "string", default: "1" },
    profile: { type: "string" },
  },
  allowPositionals: true,
});
const counts = positionals.length > 0 ? positionals.map(Number) : [1, 64, 256];
await main(Number(values.groups), counts);
process.exit(0);
