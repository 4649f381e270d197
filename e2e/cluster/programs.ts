import { spawn } from "node:child_process";
import { pause } from "../harness/run.ts";

/** What a program printed and how it ended; `code` is 127 when it could not be started. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: string;
  cwd?: string;
  env?: Record<string, string | undefined>;
  /** The program is killed after so many ms; default ten minutes. */
  timeoutMs?: number;
}

const printedBytesMax = 64 * 1024 * 1024;

/** Runs a program to its end. Never throws for its exit code. */
export function run(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(command[0]!, command.slice(1), {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      timeout: options.timeoutMs ?? 600_000,
      killSignal: "SIGKILL",
    });
    const printed = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8");
      child[stream].on("data", (text: string) => {
        if (printed[stream].length < printedBytesMax) printed[stream] += text;
      });
    }
    child.on("error", (error) => resolve({ code: 127, ...printed, stderr: error.message }));
    child.on("close", (code, signal) => resolve({ code: code ?? (signal ? 137 : 1), ...printed }));
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? "");
  });
}

/** Like run, and throws a sentence with the end of what was printed unless the program ends well. Answers its stdout. */
export async function must(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const outcome = await run(command, options);
  if (outcome.code === 0) return outcome.stdout;
  const tail = `${outcome.stdout}\n${outcome.stderr}`.trim().slice(-2_000);
  throw new Error(`${command.slice(0, 6).join(" ")} ended with ${outcome.code}: ${tail}`);
}

/** Connects the programs' pipes: `from | to`. Throws unless both end well. */
export async function pipe(from: readonly string[], to: readonly string[]): Promise<void> {
  const source = spawn(from[0]!, from.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
  const target = spawn(to[0]!, to.slice(1), { stdio: [source.stdout, "ignore", "pipe"] });
  // The target holds the pipe's other end now; a third holder would keep the end of it from being seen.
  source.stdout.destroy();
  let said = "";
  for (const child of [source, target]) child.stderr?.on("data", (text: Buffer) => (said += text.toString()));
  const codes = await Promise.all([source, target].map(ended));
  if (codes.some((code) => code !== 0)) throw new Error(`${from.join(" ")} | ${to.join(" ")}: ${said.slice(-2_000)}`);
}

function ended(child: ReturnType<typeof spawn>): Promise<number> {
  return new Promise((resolve) => {
    child.on("error", () => resolve(127));
    child.on("exit", (code) => resolve(code ?? 137));
  });
}

/** Asks until the answer is there; throws naming what was awaited, and `why()` when given. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  options: { withinMs: number; everyMs?: number; why?: () => string | Promise<string> },
): Promise<T> {
  const end = performance.now() + options.withinMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() > end) {
      const why = options.why ? `: ${await options.why()}` : "";
      throw new Error(`${what} did not come within ${options.withinMs / 1000} s${why}`);
    }
    await pause(options.everyMs ?? 200);
  }
}
