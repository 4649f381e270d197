// `nexus up --detach`: a supervisor in a session of its own, waited for within limits.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { messageOf, NexusError } from "@nexus-federation/node/base/errors.ts";
import { claimant, claimFolder } from "@nexus-federation/operator/backends/local/claim.ts";
import { callSupervisor } from "@nexus-federation/operator/backends/local/control.ts";
import type { Folder } from "@nexus-federation/operator/backends/local/folder.ts";
import { LocalError } from "@nexus-federation/operator/backends/local/local-error.ts";
import type { LocalStatus } from "@nexus-federation/operator/backends/local/status.ts";
import { endLeftovers } from "./leftovers.ts";
import { untilServing, untilWhole } from "./serving.ts";
import type { Tools } from "./tools.ts";

export interface DetachedUp {
  folder: Folder;
  files: string[];
  waitMs: number;
}

/** One question to the supervisor waits so long for it to settle, and so long for any answer, ms. */
const settleMs = 500;
const answerMs = 2_000;
const pauseMs = 100;
/** However short the wait: a supervisor is left alone only once it has the folder, so that `down` finds it, or after this, ms. */
const claimMs = 30_000;
/** A supervisor that is asked to stop during its start ends within this, ms. */
const stopMs = 5_000;
/** Last lines of the log that explain a supervisor that ended. */
const linesShown = 15;

/** Starts a supervisor and waits until it has settled, has ended, or the time is over. `done` prints and gives the exit code. */
export async function upDetached(
  tools: Tools,
  what: DetachedUp,
  done: (tools: Tools, folder: Folder, status: LocalStatus) => number,
): Promise<number> {
  const { folder, waitMs } = what;
  folder.create();
  // Refused at once when the folder is taken; the supervisor claims it for itself.
  claimFolder(folder)();
  const logFile = folder.log("supervisor");
  const logFrom = existsSync(logFile) ? statSync(logFile).size : 0;
  const supervisor = new Supervisor(launch(what, logFile));
  const until = performance.now() + waitMs;
  const claimUntil = performance.now() + claimMs;
  const unclaimed = () => claimant(folder)?.pid !== supervisor.pid && performance.now() < claimUntil;
  let last = "it has not answered yet";
  while (performance.now() < until || unclaimed()) {
    if (supervisor.stopping) return interrupted(supervisor, folder);
    if (supervisor.ended !== undefined) return explain(supervisor.ended, logFile, logFrom);
    try {
      const status = await callSupervisor(folder, { verb: "settle", timeoutMs: settleMs }, answerMs);
      if (status.settled && status.supervisor === supervisor.pid) {
        const limits = { until, stopped: () => supervisor.stopping };
        const late = await untilServing(folder, status, limits);
        const now = await untilWhole(() => callSupervisor(folder, { verb: "status" }, answerMs), limits);
        if (supervisor.stopping) return interrupted(supervisor, folder);
        if (late !== undefined) process.stderr.write(`${late}\n`);
        supervisor.leave();
        return done(tools, folder, now);
      }
      last = waitingFor(status);
    } catch (error) {
      if (!(error instanceof NexusError) || error.code !== "ZONE_UNAVAILABLE") last = messageOf(error);
    }
    await new Promise((go) => setTimeout(go, pauseMs));
  }
  supervisor.leave();
  const text = `the federation is not ready after ${waitMs} ms (${last}); pid ${supervisor.pid} goes on: see nexus status, ${logFile}, and nexus down to end it`;
  throw new LocalError("DEADLINE", text);
}

function launch({ folder, files, waitMs }: DetachedUp, logFile: string): ChildProcess {
  const log = openSync(logFile, "a", 0o600);
  // A bundle (npm run build) is its own entry.
  const main = import.meta.filename.endsWith(".mjs") ? import.meta.filename : resolve(import.meta.dirname, "main.ts");
  const named = files.flatMap((file) => ["-f", resolve(file)]);
  const args = [
    ...process.execArgv,
    main,
    "--dir",
    folder.root,
    "up",
    "--adoptable",
    "--wait",
    `${waitMs}ms`,
    ...named,
  ];
  try {
    return spawn(process.execPath, args, { detached: true, stdio: ["ignore", log, log] });
  } finally {
    closeSync(log);
  }
}

/** The child, until it is left to itself. Ctrl-C during its start ends it too. */
class Supervisor {
  readonly #child: ChildProcess;
  ended: string | undefined;
  stopping = false;
  readonly #onSignal = () => {
    this.stopping = true;
    this.#child.kill("SIGTERM");
  };

  constructor(child: ChildProcess) {
    this.#child = child;
    child.once("error", (error) => {
      this.ended = `could not be started: ${messageOf(error)}`;
    });
    child.once("exit", (code, signal) => {
      this.ended ??= signal === null ? `ended with code ${code}` : `ended by ${signal}`;
    });
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, this.#onSignal);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  leave(): void {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(signal, this.#onSignal);
    this.#child.unref();
  }

  /** It has its time to stop its processes. */
  async end(): Promise<void> {
    const until = performance.now() + stopMs;
    while (this.ended === undefined && performance.now() < until) await new Promise((go) => setTimeout(go, pauseMs));
    if (this.ended === undefined) this.#child.kill("SIGKILL");
    this.leave();
  }
}

async function interrupted(supervisor: Supervisor, folder: Folder): Promise<number> {
  process.stderr.write("stopping ...\n");
  await supervisor.end();
  // What it could not stop before it was killed; another supervisor's are its own.
  if (claimant(folder) === undefined) await endLeftovers(folder);
  return 1;
}

function explain(how: string, logFile: string, from: number): number {
  const said = readFileSync(logFile).subarray(from).toString("utf8").trimEnd().split("\n").slice(-linesShown);
  process.stderr.write(`${said.join("\n")}\nnexus: the supervisor ${how}; its log is ${logFile}\n`);
  return 1;
}

function waitingFor(status: LocalStatus): string {
  const [problem] = status.problems;
  if (problem) return `${problem.subject}: ${problem.message}`;
  const moving = Object.entries(status.conditions).flatMap(([object, list]) =>
    list
      .filter((each) => each.type === "Reconciling" && each.status === "True")
      .map((each) => `${object}: ${each.message}`),
  );
  return moving[0] ?? "it is still starting";
}
