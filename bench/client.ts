// The load on our side, in a process of its own as etcd's is: the published TypeScript client over one stream.
// node bench/client.ts --dir FOLDER --mode put|get|stale|lock|batch|touch|offer|up|down --clients N --seconds S; one JSON line.
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { NexusClient } from "../node/src/client/client.ts";
import { write } from "../node/src/client/operations.ts";
import { type Act, drive } from "./loop.ts";
import { offer } from "./offer.ts";
import type { Measured } from "./processes.ts";

const { values: flags } = parseArgs({
  options: {
    dir: { type: "string", default: "" },
    mode: { type: "string", default: "put" },
    clients: { type: "string", default: "1" },
    seconds: { type: "string", default: "3" },
    rate: { type: "string", default: "0" },
    groups: { type: "string", default: "0" },
  },
});

const valueBytes = 256;
/** Distinct keys that one client writes or reads in turn, as the load on etcd's side has. */
const keys = 100;
const warmupSeconds = 0.5;
const fileBytes = 256 * 1024 * 1024;
const batchFiles = 1000;
const timeoutMs = 60_000;

const { federation, endpoints, token, ca } = JSON.parse(readFileSync(join(flags.dir, "context.json"), "utf8"));
const settings = { federation, endpoints, token, ca, timeoutMs };
const client = new NexusClient(settings);
const groups = Number(flags.groups);
const value = Buffer.alloc(valueBytes, "x");
const path = (of: number, turn: number) =>
  groups === 0 ? `/bench/${of}/${turn}` : `/g${(of * 31 + turn) % groups}/bench/${of}/${turn}`;

const acts: Record<string, () => Promise<Act>> = {
  put: async () => (of, turn) => client.put(path(of, turn % keys), value),
  get: async () => {
    await fill();
    return (_, turn) => client.get(path(0, turn % keys));
  },
  stale: async () => {
    await fill();
    const options = { maxStalenessMs: 60_000, readPreference: "local" as const };
    return (_, turn) => client.get(path(0, turn % keys), options);
  },
  lock: async () => async (of) => {
    const { grant } = await client.acquire(`/bench/lock-${of}`, { ttlMs: 30_000 });
    await client.release(`/bench/lock-${of}`, grant.lockId);
  },
  batch: async () => (of, turn) =>
    client.batch(Array.from({ length: batchFiles }, (_, i) => write(`/batch/${of}-${turn % 4}/${i}`, value, {}))),
};

/** One file in every group, so that each has started and knows its leader. */
async function touch(): Promise<Measured> {
  for (let from = 0; from < groups; from += 16) {
    const some = Array.from({ length: Math.min(16, groups - from) }, (_, i) => from + i);
    await Promise.all(some.map((group) => client.put(`/g${group}/touched`, value)));
  }
  return { rate: 0, p50Ms: 0, p99Ms: 0, count: groups };
}

async function fill(): Promise<void> {
  await Promise.all(Array.from({ length: keys }, (_, i) => client.put(path(0, i), value)));
}

/** One large file; `rate` is bytes a second. */
async function transfer(mode: "up" | "down"): Promise<Measured> {
  const part = Buffer.alloc(256 * 1024);
  for (let i = 0; i < part.length; i++) part[i] = (i * 2654435761) >>> 13;
  const salt = randomInt(2 ** 32);
  function* parts(): Iterable<Uint8Array> {
    for (let at = 0; at < fileBytes; at += part.length) {
      part.writeUInt32LE(at, 0); // no two chunks are alike
      part.writeUInt32LE(salt, 4); // nor two runs
      yield Buffer.from(part);
    }
  }
  const began = performance.now();
  if (mode === "up") await client.upload("/bench/large", parts(), { size: fileBytes });
  else {
    let got = 0;
    for await (const bytes of (await client.download("/bench/large")).data) got += bytes.length;
    if (got !== fileBytes) throw new Error(`${got} bytes came back, ${fileBytes} were sent`);
  }
  const ms = performance.now() - began;
  return { rate: fileBytes / (ms / 1000), p50Ms: ms, p99Ms: ms, count: 1 };
}

async function main(): Promise<Measured> {
  await client.hello();
  const { mode } = flags;
  if (mode === "touch") return touch();
  if (mode === "offer") return offer(settings, { rate: Number(flags.rate), seconds: Number(flags.seconds) });
  if (mode === "up" || mode === "down") return transfer(mode);
  const make = acts[mode];
  if (make === undefined) throw new Error(`unknown mode ${mode}`);
  const load = { clients: Number(flags.clients), seconds: Number(flags.seconds), rate: Number(flags.rate) };
  const act = await make();
  await drive({ ...load, seconds: Math.min(warmupSeconds, load.seconds), rate: 0 }, act);
  return drive(load, act);
}

try {
  process.stdout.write(`${JSON.stringify(await main())}\n`);
} finally {
  client.close();
}
