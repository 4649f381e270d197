// Commands and waiting, each with a limit of its own.
import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";

export const checkout = resolve(import.meta.dirname, "../..");
const main = resolve(checkout, "cli/src/main.ts");

export interface Ran {
  /** Exit code; 128 when a signal ended it, -1 when its time was over. */
  code: number;
  stdout: string;
  stderr: string;
  tookMs: number;
}

export interface RunOptions {
  input?: string | Buffer;
  timeoutMs?: number;
  env?: Record<string, string>;
  cwd?: string;
}

export function spawnNexus(args: string[], options: RunOptions = {}): ChildProcess {
  return spawn(process.execPath, ["--disable-warning=ExperimentalWarning", main, ...args], {
    cwd: options.cwd ?? checkout,
    env: { ...process.env, NO_COLOR: "1", ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
}

/** Collects what a process says; a process that is not over in time is killed. */
export function finish(child: ChildProcess, options: RunOptions = {}): Promise<Ran> {
  const started = performance.now();
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on("data", (part: Buffer) => out.push(part));
  child.stderr?.on("data", (part: Buffer) => err.push(part));
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.input ?? "");
  return new Promise((done, fail) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, options.timeoutMs ?? 150_000);
    child.once("error", fail);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      done({
        code: late ? -1 : signal ? 128 : (code ?? -1),
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
        tookMs: performance.now() - started,
      });
    });
  });
}

export function shell(script: string, options: RunOptions = {}): Promise<Ran> {
  const child = spawn("sh", ["-ec", script], {
    cwd: options.cwd ?? checkout,
    env: { ...process.env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  return finish(child, options);
}

let interruption: AbortSignal | undefined;

/** From its abort on `until` waits for nothing more. */
export function interruptWaitsOn(signal: AbortSignal): void {
  interruption = signal;
}

/** The first answer of `look` that is neither undefined nor false; a thrown error counts as not yet. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    interruption?.throwIfAborted();
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      last = found;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end)
      throw new Error(`not within ${timeoutMs} ms: ${what} (last: ${last instanceof Error ? last.message : last})`);
    await pause(50);
  }
}

/** Real time passes; real processes need it. */
export function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Quantile of a list by nearest rank, 0 when it is empty. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0;
}
