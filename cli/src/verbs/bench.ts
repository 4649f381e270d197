// Drives a running federation: so many calls always under way, for so long; percentiles, and what each box answered.
import { messageOf, NexusError } from "@nexus-federation/node/base/errors.ts";
import type { NexusClient } from "@nexus-federation/node/client/client.ts";
import { remove } from "@nexus-federation/node/client/operations.ts";
import { type Command, Option } from "commander";
import { parseCount, parseSpan } from "../durations.ts";
import { table } from "../show.ts";
import { type Tools, verb } from "../tools.ts";

interface BenchFlags {
  op: "put" | "get" | "stale-get" | "lock";
  clients: string;
  size: string;
  duration: string;
  path: string;
}

export interface BenchResult {
  op: string;
  clients: number;
  sizeBytes: number;
  seconds: number;
  calls: number;
  errors: Record<string, number>;
  perSecond: number;
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
  maxMs: number;
}

export function benchVerbs(program: Command): void {
  program
    .command("bench")
    .description("measure a running federation: calls per second and latency percentiles")
    .addOption(new Option("--op <op>", "what to call").choices(["put", "get", "stale-get", "lock"]).default("put"))
    .option("--clients <n>", "calls under way at once", "64")
    .option("--size <bytes>", "bytes of a value, at most 1 MiB", "256")
    .option("--duration <duration>", "how long to measure", "5s")
    .option("--path <path>", "directory to work in; the files made there are deleted at the end", "/bench")
    .action(verb(bench));
}

const warmupMs = 500;
const removedAtOnce = 1000;
const clientsMax = 10_000;
/** The values of all clients lie in memory at once, here and at the box. */
const sizeBytesMax = 1024 * 1024;

async function bench(tools: Tools, flags: BenchFlags): Promise<void> {
  const clients = parseCount(flags.clients, "--clients", { least: 1, most: clientsMax });
  const sizeBytes = parseCount(flags.size, "--size", { most: sizeBytesMax });
  const durationMs = parseSpan(flags.duration, "--duration");
  await tools.client.hello();
  const made = new Made(tools.client, flags.path);
  await made.look();
  const act = await actionOf(tools.client, { ...flags, sizeBytes, made });
  const run = new Run();
  const end = performance.now() + warmupMs + durationMs;
  const from = performance.now() + warmupMs;
  await Promise.all(Array.from({ length: clients }, (_, worker) => loop(run, { act, worker, from, end })));
  const result = run.result({ op: flags.op, clients, sizeBytes, seconds: durationMs / 1000 });
  await made
    .remove()
    .catch((error) => process.stderr.write(`nexus: files of it stay below ${flags.path}: ${messageOf(error)}\n`));
  const rows = Object.entries(result).map(([key, value]) => [
    key,
    typeof value === "object" ? JSON.stringify(value) : String(value),
  ]);
  tools.print(table(rows), result);
}

type Act = (worker: number, n: number) => Promise<unknown>;

async function actionOf(
  client: NexusClient,
  what: { op: BenchFlags["op"]; path: string; sizeBytes: number; made: Made },
): Promise<Act> {
  const value = Buffer.alloc(what.sizeBytes, "x");
  const keys = 1000;
  const put = async (path: string) => {
    await client.put(path, value);
    what.made.paths.add(path);
  };
  if (what.op === "put") return (worker, n) => put(`${what.path}/${worker}-${n % keys}`);
  if (what.op === "lock") {
    return async (worker) => {
      const { grant } = await client.acquire(`${what.path}/lock-${worker}`, { ttlMs: 30_000 });
      await client.release(`${what.path}/lock-${worker}`, grant.lockId);
    };
  }
  for (let i = 0; i < keys; i += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, j) => put(`${what.path}/get-${i + j}`)));
  }
  const options = what.op === "stale-get" ? { maxStalenessMs: 10_000, readPreference: "local" as const } : {};
  return (worker, n) => client.get(`${what.path}/get-${(worker * 7919 + n) % keys}`, options);
}

/** What a run wrote. More than one recursive delete takes may lie there, and others' files beside. */
class Made {
  readonly paths = new Set<string>();
  readonly #client: NexusClient;
  readonly #folder: string;
  #folderToo = false;

  constructor(client: NexusClient, folder: string) {
    this.#client = client;
    this.#folder = folder;
  }

  async look(): Promise<void> {
    this.#folderToo = await this.#client.stat(this.#folder).then(
      () => false,
      (error) => error instanceof NexusError && error.code === "NOT_FOUND",
    );
  }

  async remove(): Promise<void> {
    const all = [...this.paths].map((path) => remove(path));
    for (let at = 0; at < all.length; at += removedAtOnce) await this.#client.batch(all.slice(at, at + removedAtOnce));
    if (this.#folderToo && all.length > 0) await this.#client.delete(this.#folder);
  }
}

class Run {
  readonly latenciesMs: number[] = [];
  readonly errors: Record<string, number> = {};

  result(setup: { op: string; clients: number; sizeBytes: number; seconds: number }): BenchResult {
    const sorted = this.latenciesMs.sort((a, b) => a - b);
    const at = (q: number) =>
      Number((sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0).toFixed(3));
    return {
      ...setup,
      calls: sorted.length,
      errors: this.errors,
      perSecond: Math.round(sorted.length / setup.seconds),
      p50Ms: at(0.5),
      p90Ms: at(0.9),
      p99Ms: at(0.99),
      maxMs: at(1),
    };
  }
}

async function loop(run: Run, what: { act: Act; worker: number; from: number; end: number }): Promise<void> {
  for (let n = 0; ; n++) {
    const started = performance.now();
    if (started >= what.end) return;
    try {
      await what.act(what.worker, n);
      const ended = performance.now();
      if (started >= what.from && ended <= what.end) run.latenciesMs.push(ended - started);
    } catch (error) {
      const code = error instanceof NexusError ? error.code : "INTERNAL";
      run.errors[code] = (run.errors[code] ?? 0) + 1;
    }
  }
}
