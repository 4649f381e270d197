// `npm run bench`: the product beside its peers, in the same run on the same machine. Why not figures of each alone: they
// say more about the machine than about the program; only ratios of one run mean something elsewhere. Sketch: each round
// starts a fresh etcd, measures every row, stops it, then the same with a fresh federation; medians over the rounds.
// Apart from it: `npm run bench -- groups` (groups.ts), `overload`.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFlags } from "../test/flags.ts";
import { type Floors, measureFloors } from "./floors/floors.ts";
import { measureGroups } from "./groups.ts";
import { Ours } from "./ours.ts";
import { measureOverload } from "./overload.ts";
import { Etcd } from "./peers/etcd.ts";
import { Redis } from "./peers/redis.ts";
import { type ReportRow, reportRow, setup, table } from "./report.ts";
import { calmShare, measureRows, type Row, rows } from "./rows.ts";

const { flags, word } = readFlags({
  command: "npm run bench --",
  about: "The product beside its peers (etcd, RocksDB, Redis), in the same run on the same machine; minutes a round.",
  flags: {
    rounds: { about: "rounds, of which the medians are told", count: 3 },
    json: { about: "results as JSON; - is stdout", value: "FILE" },
    counts: { about: "of groups: how many there are at each step", value: "N,...", default: "1,10,100,1000" },
  },
  words: {
    groups: "the put rate and the memory of an idle group, with more and more groups",
    overload: "puts offered at four times the peak",
  },
});
const { rounds } = flags;
const counts = flags.counts.split(",").map(Number);
const work = mkdtempSync(join(tmpdir(), "nexus-bench-"));
const say = (text: string) => void process.stderr.write(`${text}\n`);

interface Side {
  rows: Map<Row, number[]>;
  calm: number[];
  up: number[];
  down: number[];
}
const side = (): Side => ({ rows: new Map(rows.map((row) => [row, []])), calm: [], up: [], down: [] });

async function round(number: number, ours: Side, peer: Side): Promise<void> {
  say(`round ${number} of ${rounds}: etcd`);
  const etcd = await Etcd.start(join(work, `etcd-${number}`), say);
  try {
    await measureSide(etcd, "peer", peer);
  } finally {
    await etcd.stop();
  }
  say(`round ${number} of ${rounds}: nexus`);
  const federation = await Ours.start(join(work, `ours-${number}`));
  try {
    await measureSide(federation, "ours", ours);
    ours.up.push((await federation.load("up", { clients: 1, seconds: 0 })).rate);
    ours.down.push((await federation.load("down", { clients: 1, seconds: 0 })).rate);
  } finally {
    await federation.stop();
  }
}

async function measureSide(system: Ours | Etcd, name: "ours" | "peer", into: Side): Promise<void> {
  const found = await measureRows(system, name);
  for (const [row, value] of found) into.rows.get(row)?.push(value);
  const peak = Math.max(...[...found].filter(([row]) => row.ours === "put").map(([, value]) => value));
  const calm = await system.load("put", { clients: 64, seconds: 3, rate: peak * calmShare });
  into.calm.push(calm.p50Ms);
}

function report(ours: Side, peer: Side, floors: Floors): ReportRow[] {
  const etcd = `etcd ${Etcd.version()}`;
  const out = rows.map((row) =>
    reportRow({ ...row, peerName: etcd, ours: ours.rows.get(row) ?? [], peer: peer.rows.get(row) ?? [] }),
  );
  const own = { clients: 64, unit: "ms", peerName: `${etcd} at 10 % of its own peak` };
  out.push(reportRow({ name: "put p50 at 10 % of the peak rate", ...own, ours: ours.calm, peer: peer.calm }));
  const bytes = { clients: 1, unit: "MB/s", target: 0.5 };
  const up = { ...bytes, name: "256 MiB up", ours: ours.up };
  const down = { ...bytes, name: "256 MiB down", peerName: "floor: lower of cached read and gRPC stream" };
  const two = "floor: lower of a disk that takes two copies and gRPC stream";
  out.push(reportRow({ ...up, peerName: two, peer: [Math.min(floors.diskWrite, floors.streamBytes)] }));
  const one = { peerName: "floor: lower of a disk that takes one copy and gRPC stream", target: undefined };
  out.push(reportRow({ ...up, ...one, peer: [Math.min(floors.diskWriteOne, floors.streamBytes)] }));
  out.push(reportRow({ ...down, ours: ours.down, peer: [Math.min(floors.diskRead, floors.streamBytes)] }));
  const putRates = ours.rows.get(rows.find((row) => row.ours === "put" && row.clients === 64)!) ?? [];
  const floor = { name: "put 256 B", clients: 64, unit: "ops/s", ours: putRates };
  out.push(reportRow({ ...floor, peerName: "floor: RocksDB, 64 puts a synced batch", peer: [floors.rocks64] }));
  out.push(reportRow({ ...floor, peerName: "floor: empty gRPC stream", peer: [floors.streamRate] }));
  const redis = floors.redis === undefined ? [] : [floors.redis];
  const noted = { name: "put 256 B (eventual/any is not built: not comparable)", clients: 64, unit: "ops/s" };
  out.push(reportRow({ ...noted, peerName: "Redis appendfsync always", ours: [], peer: redis }));
  return out;
}

async function redisRate(): Promise<number | undefined> {
  const redis = await Redis.start(work);
  if (redis === undefined) return undefined;
  try {
    return (await redis.put({ clients: 64, count: 30_000 })).rate;
  } finally {
    await redis.stop();
  }
}

function finish(out: ReportRow[], lines: string[]): void {
  if (flags.json === "-") process.stdout.write(`${JSON.stringify({ setup: lines, rows: out }, null, 2)}\n`);
  else process.stdout.write(`${lines.join("\n")}\n\n${table(out)}\n`);
  if (flags.json !== undefined && flags.json !== "-") {
    writeFileSync(flags.json, `${JSON.stringify({ setup: lines, rows: out }, null, 2)}\n`);
  }
}

async function main(): Promise<void> {
  const lines = setup();
  if (word === "groups") return finish(await measureGroups(work, counts, say), lines);
  if (word === "overload") return finish(await measureOverload(work, say), lines);
  const ours = side();
  const peer = side();
  for (let number = 1; number <= rounds; number++) await round(number, ours, peer);
  say("floors");
  const floors = await measureFloors(work, await redisRate());
  finish(report(ours, peer, floors), lines);
}

try {
  await main();
} finally {
  rmSync(work, { recursive: true, force: true });
}
