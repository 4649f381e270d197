// Child processes of the benchmark: started, waited for, measured by the JSON line they print, and always stopped.
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";

/** What one measured run of any system came to; a load generator prints it as one line of JSON. */
export interface Measured {
  /** Operations a second. */
  rate: number;
  p50Ms: number;
  p99Ms: number;
  count: number;
  /** Of `offer`: operations begun a second, and how many ended how. */
  offered?: number;
  outcomes?: Record<string, number>;
}

export interface Command {
  command: string;
  args: string[];
  cwd?: string;
  env?: Record<string, string>;
}

/** Longest time of one measured run, ms. */
const runMsMax = 420_000;
const stopMs = 5_000;

/** Runs to the end and returns what it printed; throws with the end of its error output when it fails. */
export function run({ command, args, cwd, env }: Command): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, timeout: runMsMax });
    let out = "";
    let errors = "";
    child.stdout.on("data", (text) => (out += text));
    child.stderr.on("data", (text) => (errors = `${errors}${text}`.slice(-2000)));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) resolve(out);
      else
        reject(new Error(`${command} ${args.join(" ")} ended with ${signal ?? code}: ${errors || out.slice(-2000)}`));
    });
  });
}

/** Runs a load generator and returns its last line. */
export async function measure(command: Command): Promise<Measured> {
  const lines = (await run(command)).trim().split("\n");
  return JSON.parse(lines.at(-1) ?? "") as Measured;
}

/** A server of the benchmark. */
export class Server {
  readonly #child: ChildProcess;
  #errors = "";
  #ended = false;

  constructor({ command, args, cwd, env }: Command) {
    this.#child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "pipe"] });
    this.#child.stderr?.on("data", (text) => (this.#errors = `${this.#errors}${text}`.slice(-2000)));
    this.#child.on("close", () => (this.#ended = true));
    this.#child.on("error", (error) => (this.#errors += error.message));
  }

  /** Tries until `check` is true. */
  async ready(what: string, check: () => Promise<boolean>, timeoutMs = 20_000): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (performance.now() < end && !this.#ended) {
      if (await check().catch(() => false)) return;
      await sleep(50);
    }
    throw new Error(`${what} did not come up: ${this.#errors}`);
  }

  async stop(): Promise<void> {
    if (this.#ended) return;
    const closed = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), stopMs);
    await closed;
    clearTimeout(timer);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Ports that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ports.push((server.address() as { port: number }).port);
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  return ports;
}
