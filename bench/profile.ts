// `make profile`: where the time of the boxes goes under load. Starts a federation, drives puts and profiles the leader, the
// follower and the client for some seconds, prints the functions with the most self time, and keeps the .cpuprofile files.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readFlags } from "../test/flags.ts";
import { Ours } from "./ours.ts";
import { sleep } from "./processes.ts";

const { flags } = readFlags({
  command: "npm run profile --",
  about: "Where the time of the boxes goes under load; prints the functions with the most self time.",
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
const inspectorPort = 9229;
const samplingMicroseconds = 200;
/** Before the profile starts: connections, compiled code. */
const warmupMs = 3_000;

interface Profile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  samples: number[];
  timeDeltas: number[];
}

/** One process's profile, taken through the inspector that SIGUSR1 opens. */
class Inspected {
  readonly #socket: WebSocket;
  #next = 1;
  readonly #waiting = new Map<number, (result: { profile?: Profile }) => void>();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const { id, result } = JSON.parse(String(data)) as { id: number; result: { profile?: Profile } };
      this.#waiting.get(id)?.(result);
    });
  }

  static async open(pid: number): Promise<Inspected> {
    process.kill(pid, "SIGUSR1");
    for (let i = 0; i < 100; i++) {
      await sleep(50);
      const list = await fetch(`http://127.0.0.1:${inspectorPort}/json/list`).catch(() => undefined);
      if (list === undefined) continue;
      const [target] = (await list.json()) as { webSocketDebuggerUrl: string }[];
      const socket = new WebSocket(target!.webSocketDebuggerUrl);
      await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));
      return new Inspected(socket);
    }
    throw new Error(`process ${pid} opened no inspector`);
  }

  ask(method: string, params: object = {}): Promise<{ profile?: Profile }> {
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  async profile(ms: number): Promise<Profile> {
    await this.ask("Profiler.enable");
    await this.ask("Profiler.setSamplingInterval", { interval: samplingMicroseconds });
    await this.ask("Profiler.start");
    await sleep(ms);
    const { profile } = await this.ask("Profiler.stop");
    return profile!;
  }

  /** The next process may have the port. */
  async close(): Promise<void> {
    const expression = "process.getBuiltinModule('inspector').close()";
    void this.ask("Runtime.evaluate", { expression });
    await sleep(200);
    this.#socket.close();
  }
}

/** Functions by self time, % of the profile. */
function hottest(profile: Profile, count: number): string {
  const self = new Map<number, number>();
  let total = 0;
  for (const [i, id] of profile.samples.entries()) {
    const delta = profile.timeDeltas[i] ?? 0;
    self.set(id, (self.get(id) ?? 0) + delta);
    total += delta;
  }
  const byPlace = new Map<string, number>();
  for (const { id, callFrame } of profile.nodes) {
    const { functionName, url, lineNumber } = callFrame;
    const file = url.replace(/^.*\/(node_modules|node\/src|bench|proto)\//, "$1/");
    const place = `${functionName || "(anonymous)"} ${file}${url === "" ? "" : `:${lineNumber + 1}`}`;
    byPlace.set(place, (byPlace.get(place) ?? 0) + (self.get(id) ?? 0));
  }
  const sorted = [...byPlace].sort((a, b) => b[1] - a[1]).slice(0, count);
  return sorted.map(([place, time]) => `${((100 * time) / total).toFixed(1).padStart(6)} %  ${place}`).join("\n");
}

async function profileBoxes(ours: Ours): Promise<void> {
  const out = resolve(flags.out);
  mkdirSync(out, { recursive: true });
  const ms = flags.seconds * 1000;
  const load = ["bench/client.ts", "--dir", ours.folder, "--mode", flags.mode, "--clients", `${flags.clients}`];
  load.push("--groups", `${flags.groups}`);
  const seconds = (warmupMs + 3 * (ms + 1500)) / 1000;
  const client = spawn(process.execPath, [...load, "--seconds", String(seconds)], {
    cwd: resolve(import.meta.dirname, ".."),
    stdio: ["ignore", "inherit", "inherit"],
  });
  const ended = new Promise((resolve) => client.once("close", resolve));
  await sleep(warmupMs);
  const pids = [...ours.pids(), ["client", client.pid!] as const].filter(([name]) => !name.startsWith("witness"));
  for (const [name, pid] of pids) {
    const inspected = await Inspected.open(pid);
    const profile = await inspected.profile(ms);
    await inspected.close();
    const file = join(out, `${name}-${flags.mode}-${flags.clients}.cpuprofile`);
    writeFileSync(file, JSON.stringify(profile));
    process.stdout.write(`\n${name} (${file})\n${hottest(profile, flags.top)}\n`);
  }
  await ended;
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
