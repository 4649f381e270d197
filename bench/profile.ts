// `make profile`: where the time of the boxes goes under load. Starts a federation, drives puts and profiles the leader, the
// follower and the client for some seconds, prints the functions with the most self time and what an operation costs in each
// part of each process, and keeps the .cpuprofile files.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { readFlags } from "../test/flags.ts";
import { Inspected, type Profile } from "./inspected.ts";
import { Ours } from "./ours.ts";
import { type Measured, sleep } from "./processes.ts";
import { costTable, hottest, partShares, steady } from "./profile-table.ts";
import { spent, threadTimes } from "./threads.ts";

const { flags } = readFlags({
  command: "npm run profile --",
  about:
    "Where the time of the boxes goes under load: the functions with the most self time, the cost of an operation by part.",
  flags: {
    mode: { about: "what the clients do: put, get, stale, lock, batch, up, down", value: "MODE", default: "put" },
    clients: { about: "clients that wait for their answers", count: 64 },
    seconds: { about: "length of the profile", count: 5 },
    out: { about: "where the .cpuprofile files go", value: "FOLDER", default: "profiles" },
    groups: { about: "zones /g0/** ... that the load is spread over; 0: the one that there is", count: 0, least: 0 },
    dir: { about: "profiles the federation that runs there already", value: "FOLDER" },
    top: { about: "functions that are printed", count: 40 },
  },
});
/** Before the profile starts: connections, compiled code. */
const warmupMs = 3_000;
/** Leader, follower and client are profiled one after the other. */
const profiledCount = 3;
/** What opening and closing an inspector may take besides, while the load goes on. */
const inspectorMs = 1_500;

/** Starts the load; `result` is what it came to. */
function startLoad(ours: Ours, ms: number): { pid: number; result: Promise<Measured> } {
  const args = ["bench/client.ts", "--dir", ours.folder, "--mode", flags.mode, "--clients", `${flags.clients}`];
  args.push("--groups", `${flags.groups}`, "--seconds", String((warmupMs + ms) / 1000));
  const cwd = resolve(import.meta.dirname, "..");
  const client = spawn(process.execPath, args, { cwd, stdio: ["ignore", "pipe", "inherit"] });
  const result = text(client.stdout).then((out) => JSON.parse(out) as Measured);
  return { pid: client.pid!, result };
}

function processes(ours: Ours, client: number): [name: string, pid: number][] {
  return [...[...ours.pids()].filter(([name]) => !name.startsWith("witness")), ["client", client]];
}

async function profileAll(ours: Ours): Promise<Map<string, Profile>> {
  const out = resolve(flags.out);
  mkdirSync(out, { recursive: true });
  const ms = flags.seconds * 1000;
  const load = startLoad(ours, profiledCount * (ms + inspectorMs));
  await sleep(warmupMs);
  const profiles = new Map<string, Profile>();
  for (const [name, pid] of processes(ours, load.pid)) {
    const inspected = await Inspected.open(pid);
    const profile = steady(await inspected.profile(ms));
    await inspected.close();
    profiles.set(name, profile);
    const file = join(out, `${name}-${flags.mode}-${flags.clients}.cpuprofile`);
    writeFileSync(file, JSON.stringify(profile));
    process.stdout.write(`\n${name} (${file})\n${hottest(profile, flags.top)}\n`);
  }
  await load.result;
  return profiles;
}

/** The same load again without a profiler, which costs time itself: CPU by process and thread, divided by the operations. */
async function costs(ours: Ours, profiles: Map<string, Profile>): Promise<string> {
  const ms = flags.seconds * 1000;
  const load = startLoad(ours, ms);
  await sleep(warmupMs);
  const began = performance.now();
  const watched = processes(ours, load.pid).map(([name, pid]) => ({ name, pid, before: threadTimes(pid) }));
  await sleep(ms / 2);
  const times = watched.map(({ name, pid, before }) => ({ name, times: spent(before, threadTimes(pid)) }));
  const seconds = (performance.now() - began) / 1000;
  const { rate } = await load.result;
  const shares = times.map(({ name, times }) => {
    const threads = new Map([...times].map(([kind, micros]) => [kind, micros / (rate * seconds)]));
    return { name, threads, parts: partShares(profiles.get(name)!) };
  });
  return `${rate.toFixed(0)} ${flags.mode}/s, ${flags.clients} clients\n\n${costTable(shares)}`;
}

async function profileBoxes(ours: Ours): Promise<void> {
  const profiles = await profileAll(ours);
  if (flags.mode !== "up" && flags.mode !== "down") process.stdout.write(`\n${await costs(ours, profiles)}\n`);
}

if (flags.dir !== undefined) await profileBoxes(Ours.at(flags.dir));
else {
  const work = mkdtempSync(join(tmpdir(), "nexus-profile-"));
  const ours = await Ours.start(work);
  try {
    await profileBoxes(ours);
  } finally {
    await ours.stop();
    rmSync(work, { recursive: true, force: true });
  }
}
