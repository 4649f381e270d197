// One supervised process: started, watched, restarted with backoff, adopted when an earlier supervisor left it running.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, rmSync } from "node:fs";
import { Backoff } from "@nexus-federation/node/base/backoff.ts";
import type { Clock, Random, Timer } from "@nexus-federation/node/base/clock.ts";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import { writePrivate } from "./folder.ts";
import { lastSentence } from "./last-sentence.ts";
import { type ProcessIdentity, readIdentity, signalProcess, startTimeOf } from "./process-info.ts";

export interface ChildSpec {
  name: string;
  command: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  /** stdout and stderr are appended here. */
  logFile: string;
  /** Pid and start time are kept here. */
  processFile: string;
}

export interface ChildSettings {
  /** The child outlives the supervisor, which a later one adopts; else it stops when its control pipe (stdin) closes. */
  detached: boolean;
  restart: { firstMs: number; maxMs: number; factor: number };
  /** A child that ran this long starts over with the first backoff. */
  steadyMs: number;
  /** How often an adopted process is looked at. */
  pollMs: number;
  /** Time to stop by itself before it is killed. */
  stopGraceMs: number;
}

export const childDefaults: ChildSettings = {
  detached: false,
  restart: { firstMs: 100, maxMs: 10_000, factor: 2 },
  steadyMs: 10_000,
  pollMs: 250,
  stopGraceMs: 4000,
};

export interface ChildView {
  /** 0 while it does not run. */
  pid: number;
  running: boolean;
  restarts: number;
  /** How it ended last, one clause; empty when it never did, or runs steadily since. */
  lastExit: string;
}

export class Child {
  readonly spec: ChildSpec;
  readonly #clock: Clock;
  readonly #settings: ChildSettings;
  readonly #backoff: Backoff;
  readonly #exited: (view: ChildView) => void | Promise<void>;
  #process: ChildProcess | undefined;
  #identity: ProcessIdentity | undefined;
  #timer: Timer | undefined;
  #startedMs = 0;
  /** Size of the log file when the process began. */
  #logFrom = 0;
  #restarts = 0;
  #lastExit = "";
  #stopping = false;
  #whenGone: (() => void)[] = [];

  /** `exited` is awaited before the restart is timed: it may change what the next start reads. */
  constructor(
    spec: ChildSpec,
    needs: { clock: Clock; random: Random; exited: (view: ChildView) => void | Promise<void> },
    settings: ChildSettings,
  ) {
    this.spec = spec;
    this.#clock = needs.clock;
    this.#exited = needs.exited;
    this.#settings = settings;
    this.#backoff = new Backoff(needs.random, settings.restart);
  }

  get view(): ChildView {
    const running = this.#identity !== undefined;
    return {
      pid: this.#identity?.pid ?? 0,
      running,
      restarts: this.#restarts,
      lastExit: running && this.#isSteady() ? "" : this.#lastExit,
    };
  }

  #isSteady(): boolean {
    return this.#clock.now() - this.#startedMs >= this.#settings.steadyMs;
  }

  /** Adopts the process that an earlier supervisor left, or starts one. */
  start(): void {
    const left = readIdentity(this.spec.processFile);
    if (left && startTimeOf(left.pid) === left.startTime) {
      this.#identity = left;
      this.#startedMs = this.#clock.now();
      this.#poll();
      return;
    }
    this.#spawn();
  }

  /** Ends the process: control pipe and SIGTERM, after the grace SIGKILL. Resolves when it is gone. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const identity = this.#identity;
    if (!identity) {
      this.#timer?.cancel();
      return;
    }
    const gone = new Promise<void>((resolve) => this.#whenGone.push(resolve));
    this.#process?.stdin?.end();
    signalProcess(identity, "SIGTERM");
    const kill = this.#clock.after(this.#settings.stopGraceMs, () => signalProcess(identity, "SIGKILL"));
    await gone;
    kill.cancel();
  }

  /** Ends the process, by force after the grace; it starts again like one that ended by itself. */
  restart(): void {
    const identity = this.#identity;
    if (!identity || this.#stopping) return;
    this.#process?.stdin?.end();
    signalProcess(identity, "SIGTERM");
    const kill = this.#clock.after(this.#settings.stopGraceMs, () => signalProcess(identity, "SIGKILL"));
    this.#whenGone.push(() => kill.cancel());
  }

  #spawn(): void {
    this.#startedMs = this.#clock.now();
    try {
      this.#launch();
    } catch (error) {
      // The folder cannot be written now; the restart is tried like any other.
      this.#ended(`could not be started: ${messageOf(error)}`);
    }
  }

  #launch(): void {
    const { command, args, env, logFile, processFile } = this.spec;
    const output = openSync(logFile, "a", 0o600);
    try {
      this.#logFrom = fstatSync(output).size;
      const input = this.#settings.detached ? "ignore" : "pipe";
      const child = spawn(command, args, {
        env: { ...process.env, ...env },
        stdio: [input, output, output],
        detached: true,
      });
      this.#process = child;
      child.stdin?.on("error", () => {});
      child.once("error", (error) => this.#exit(child, `could not be started: ${messageOf(error)}`));
      child.once("exit", (code, signal) =>
        this.#exit(child, signal ? `ended by ${signal}` : `ended with code ${code}${code ? this.#lastWords() : ""}`),
      );
      const startTime = child.pid === undefined ? undefined : startTimeOf(child.pid);
      if (child.pid === undefined || startTime === undefined) return;
      this.#identity = { pid: child.pid, startTime };
      writePrivate(processFile, JSON.stringify(this.#identity));
      if (this.#settings.detached) child.unref();
    } finally {
      closeSync(output);
    }
  }

  /** What the process said last that is not a log record: why it gave up. */
  #lastWords(): string {
    const words = lastSentence(this.spec.logFile, this.#logFrom);
    return words === "" ? "" : `: ${words}`;
  }

  #exit(child: ChildProcess, how: string): void {
    if (this.#process === child) this.#ended(how);
  }

  #poll(): void {
    this.#timer = this.#clock.after(this.#settings.pollMs, () => {
      const identity = this.#identity!;
      if (startTimeOf(identity.pid) === identity.startTime) this.#poll();
      else this.#ended("ended");
    });
  }

  #ended(how: string): void {
    this.#process = undefined;
    this.#identity = undefined;
    this.#timer?.cancel();
    this.#lastExit = how;
    rmSync(this.spec.processFile, { force: true });
    for (const resolve of this.#whenGone.splice(0)) resolve();
    if (this.#stopping) return;
    this.#restarts++;
    if (this.#isSteady()) this.#backoff.reset();
    Promise.resolve(this.#exited(this.view)).finally(() => {
      if (!this.#stopping) this.#timer = this.#clock.after(this.#backoff.nextMs(), () => this.#spawn());
    });
  }
}
