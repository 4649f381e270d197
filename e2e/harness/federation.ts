// One federation of real processes in a folder of its own. Why not the runtime in this process: then kill -9 of the
// supervisor, exit codes and detached children would not be what users get. The sketch: `nexus up --detach` from YAML,
// the supervisor's socket for status, signals by pid, and `nexus down` at the end whatever happened.
import { spawn } from "node:child_process";
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { NexusClient } from "@nexus-federation/node/client/client.ts";
import type { ClientSettings } from "@nexus-federation/node/client/types.ts";
import { callSupervisor } from "@nexus-federation/operator/backends/local/control.ts";
import { Folder } from "@nexus-federation/operator/backends/local/folder.ts";
import type { Place } from "@nexus-federation/operator/backends/local/programs.ts";
import type { BoxRow, GroupRow, LocalStatus } from "@nexus-federation/operator/backends/local/status.ts";
import { checkout, finish, isAlive, pause, type Ran, type RunOptions, shell, spawnNexus, until } from "./run.ts";

export interface UpOptions {
  /** File of examples/, or YAML text. */
  example?: string;
  yaml?: string;
  /** Runs when the folder is there and nothing is started. */
  before?: (federation: Federation) => unknown;
  /** Exit code that `up` should end with. Default 0. */
  code?: number;
}

const upMs = 90_000;

export class Federation {
  readonly dir: string;
  readonly root: string;
  readonly folder: Folder;
  /** Where boxes run that do not run on this machine's loopback; filled before the start. */
  readonly places = new Map<string, Place>();
  /** Run last, in reverse order, when the processes are gone. */
  readonly #cleanups: (() => unknown)[] = [];
  /** Every process ever seen, so that none is left behind. */
  readonly #pids = new Set<number>();
  readonly #paused = new Set<number>();
  readonly #clients: NexusClient[] = [];
  readonly #mounts: string[] = [];
  readonly #onExit = () => this.#killAll();

  constructor() {
    this.root = mkdtempSync(join(tmpdir(), "nexus-e2e-"));
    this.dir = join(this.root, "f");
    this.folder = new Folder(this.dir);
    process.once("exit", this.#onExit);
  }

  static async up(options: UpOptions): Promise<Federation> {
    const federation = new Federation();
    try {
      federation.folder.create();
      await options.before?.(federation);
      const ran = await federation.start(options);
      if (ran.code !== (options.code ?? 0)) throw new Error(`up ended with ${ran.code}: ${ran.stderr}${ran.stdout}`);
      await federation.status();
      return federation;
    } catch (error) {
      await federation.down();
      throw error;
    }
  }

  /** `nexus up --detach`, of what was declared before when nothing is given. */
  start(options: UpOptions = {}): Promise<Ran> {
    const files: string[] = [];
    if (options.example) files.push(`examples/${options.example}`);
    if (options.yaml !== undefined) files.push(this.file("up.yaml", options.yaml));
    if (this.places.size > 0) return this.#startPlaced(files);
    const named = files.flatMap((file) => ["-f", file]);
    return this.nexus(["up", ...named, "--detach", "--wait", `${upMs}ms`], { timeoutMs: upMs + 10_000 });
  }

  /** As `nexus up --detach`, of boxes at their places. */
  async #startPlaced(files: string[]): Promise<Ran> {
    const started = performance.now();
    const logFile = this.folder.log("supervisor");
    const log = openSync(logFile, "a", 0o600);
    const places = this.file("places.json", JSON.stringify(Object.fromEntries(this.places)));
    const program = ["--disable-warning=ExperimentalWarning", "e2e/harness/placed-up.ts", this.dir, places];
    const options = { cwd: checkout, detached: true, stdio: ["pipe", log, log] as ["pipe", number, number] };
    const child = spawn(process.execPath, [...program, ...files], options);
    closeSync(log);
    child.unref();
    // Held open as long as this process lives: the end of it ends the federation.
    (child.stdin as Socket).unref();
    this.#pids.add(child.pid ?? 0);
    const end = (code: number) => {
      const stderr = readFileSync(logFile, "utf8");
      return { code, stdout: "", stderr, tookMs: performance.now() - started };
    };
    return until(
      "the federation is up",
      async () => (child.exitCode === null ? (await this.status()).settled && end(0) : end(child.exitCode)),
      upMs,
    ).catch(() => end(-1));
  }

  /** Runs `what` when all processes are gone. */
  atEnd(what: () => unknown): void {
    this.#cleanups.unshift(what);
  }

  /** A file beside the federation's folder. */
  file(name: string, content: string | Uint8Array): string {
    const path = join(this.root, name);
    writeFileSync(path, content);
    return path;
  }

  nexus(args: string[], options: RunOptions = {}): Promise<Ran> {
    return finish(this.spawn(args, options), options);
  }

  /** `nexus ARGS` of this federation, left running. */
  spawn(args: string[], options: RunOptions = {}) {
    return spawnNexus(["--dir", this.dir, ...args], { ...options, env: { ...this.env, ...options.env } });
  }

  get env(): Record<string, string> {
    return { XDG_CONFIG_HOME: join(this.root, "config"), NEXUS_CONTEXT: "" };
  }

  /** As `nexus`, refusing every exit code but 0. */
  async ok(args: string[], options: RunOptions = {}): Promise<Ran> {
    const ran = await this.nexus(args, options);
    if (ran.code !== 0) throw new Error(`nexus ${args.join(" ")} ended with ${ran.code}: ${ran.stderr}${ran.stdout}`);
    return ran;
  }

  async status(): Promise<LocalStatus> {
    const status = await callSupervisor(this.folder, { verb: "status" });
    this.#pids.add(status.supervisor);
    for (const box of status.boxes) if (box.pid > 0) this.#pids.add(box.pid);
    return status;
  }

  /** Applies YAML and waits until nothing is left to do. */
  async apply(yaml: string, waitMs = 60_000): Promise<Ran> {
    const file = this.file("apply.yaml", yaml);
    return this.nexus(["apply", "-f", file, "--wait", `${waitMs}ms`], { timeoutMs: waitMs + 15_000 });
  }

  settled(timeoutMs = 60_000): Promise<LocalStatus> {
    return until(
      "the federation settles",
      async () => {
        const status = await this.status();
        return status.settled && status.boxes.every((box) => box.running) && status;
      },
      timeoutMs,
    );
  }

  async box(name: string): Promise<BoxRow> {
    const found = (await this.status()).boxes.find((box) => box.name === name);
    if (!found) throw new Error(`no box ${name}`);
    return found;
  }

  async group(zone = "root"): Promise<GroupRow> {
    const found = (await this.status()).groups.find((group) => group.zone === zone);
    if (!found) throw new Error(`no group ${zone}`);
    return found;
  }

  /** Box that leads the zone, once one does. */
  leader(zone = "root"): Promise<string> {
    return until(`zone ${zone} has a leader`, async () => (await this.group(zone)).leader || undefined);
  }

  /** All members of the zone have everything, in PAIR where there is a witness. */
  whole(zone = "root", timeoutMs = 60_000): Promise<GroupRow> {
    return until(
      `every copy of ${zone} is whole`,
      async () => {
        const status = await this.status();
        const group = status.groups.find((one) => one.zone === zone);
        const moving = !group?.leader || group.mode === "SOLO" || group.joint;
        if (moving || group.members.some((member) => member.state !== "CaughtUp"))
          throw new Error(
            JSON.stringify({ group, boxes: status.boxes.map(({ name, state, pid }) => [name, state, pid]) }),
          );
        return group;
      },
      timeoutMs,
    );
  }

  client(more: Partial<ClientSettings> = {}): NexusClient {
    const { federation, endpoints, token, ca } = this.context();
    const client = new NexusClient({ federation, endpoints, token, ca, ...more });
    this.#clients.push(client);
    return client;
  }

  context(): { federation: string; endpoints: string[]; token: string; ca: string } {
    return JSON.parse(readFileSync(this.folder.context, "utf8"));
  }

  /** A client that knows one box only. */
  async clientOf(box: string, more: Partial<ClientSettings> = {}): Promise<NexusClient> {
    return this.client({ endpoints: [(await this.box(box)).grpc], ...more });
  }

  /** Sends the signal and answers the pid. */
  async kill(name: string, signal: NodeJS.Signals = "SIGKILL"): Promise<number> {
    const { pid } = await this.box(name);
    if (pid === 0) throw new Error(`${name} does not run`);
    process.kill(pid, signal);
    return pid;
  }

  /** The box's process that follows `oldPid`, once it answers (a witness: runs). */
  restarted(name: string, oldPid: number, timeoutMs = 60_000): Promise<BoxRow> {
    return until(
      `${name} is back`,
      async () => {
        const box = await this.box(name);
        const back = box.pid !== 0 && box.pid !== oldPid && ["ready", "running", "full"].includes(box.state);
        return back && box;
      },
      timeoutMs,
    );
  }

  async freeze(name: string): Promise<number> {
    const { pid } = await this.box(name);
    if (pid === 0) throw new Error(`${name} does not run`);
    this.freezePid(pid);
    return pid;
  }

  /** At once, for measurements. */
  freezePid(pid: number): void {
    this.#paused.add(pid);
    process.kill(pid, "SIGSTOP");
  }

  thaw(pid: number): void {
    this.#paused.delete(pid);
    if (isAlive(pid)) process.kill(pid, "SIGCONT");
  }

  /** Kills a box without letting it do anything more, changes its folder, and lets the supervisor start it again. */
  async damage(name: string, change: (folder: string) => void): Promise<BoxRow> {
    const pid = await this.freeze(name);
    change(this.folder.box(name));
    this.#paused.delete(pid);
    process.kill(pid, "SIGKILL");
    return until(`${name} runs again`, async () => {
      const box = await this.box(name);
      return box.pid !== 0 && box.pid !== pid && box;
    });
  }

  /** Puts the box's folder, before it is started, on a disk of its own of so many megabytes; root only. Answers the folder. */
  async smallDisk(name: string, megabytes: number): Promise<string> {
    const at = this.folder.box(name);
    mkdirSync(at, { recursive: true });
    const mounted = await shell(`mount -t tmpfs -o size=${megabytes}m tmpfs "${at}"`);
    if (mounted.code !== 0) throw new Error(`mount: ${mounted.stderr}`);
    this.#mounts.push(at);
    return at;
  }

  closeClients(): void {
    for (const client of this.#clients.splice(0)) client.close();
  }

  /**
   * Stops everything and deletes the folder (NEXUS_E2E_LOGS names one that keeps the logs); answers pids that had to be
   * killed (none, when all is well).
   */
  async down(): Promise<number[]> {
    this.closeClients();
    for (const pid of this.#paused) if (isAlive(pid)) process.kill(pid, "SIGCONT");
    await this.status().catch(() => {});
    await this.nexus(["down"], { timeoutMs: 60_000 }).catch(() => {});
    const end = performance.now() + 20_000;
    while ([...this.#pids].some(isAlive) && performance.now() < end) await pause(50);
    const left = this.#killAll();
    for (const at of this.#mounts) await shell(`umount -l "${at}"`);
    for (const cleanup of this.#cleanups.splice(0)) await cleanup();
    process.removeListener("exit", this.#onExit);
    const keep = process.env["NEXUS_E2E_LOGS"];
    if (keep && existsSync(this.folder.logs))
      cpSync(this.folder.logs, join(keep, basename(this.root)), { recursive: true });
    rmSync(this.root, { recursive: true, force: true });
    return left;
  }

  #killAll(): number[] {
    const left = [...this.#pids].filter(isAlive);
    for (const pid of left) process.kill(pid, "SIGKILL");
    return left;
  }
}
