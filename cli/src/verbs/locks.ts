// nexus lock PATH -- COMMAND: runs it under the lock, extends while it runs, kills it when the lock is lost.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { hexOf } from "@nexus-federation/node/base/bytes.ts";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import { printFence } from "@nexus-federation/node/base/fence.ts";
import type { LockState } from "@nexus-federation/proto/records.ts";
import type { Command } from "commander";
import { parseCount, parseDuration, UsageError } from "../durations.ts";
import { type Tools, verb } from "../tools.ts";

interface LockFlags {
  ttl: string;
  wait?: string;
  semaphore?: string;
  owner?: string;
  show?: boolean;
}

/** Exit code of a command that was killed because its lock was lost. */
const lostCode = 75;
/** Between SIGTERM and SIGKILL. */
const killAfterMs = 2000;
/** How often a waiter looks who holds the lock, ms. */
const lookMs = 1000;

export function lockVerbs(program: Command): void {
  program
    .command("lock <path> [command...]")
    .description(
      "run a command under a lock: nexus lock /jobs/nightly -- ./job.sh (NEXUS_FENCE, NEXUS_LOCK_PATH in its environment)",
    )
    .option("--ttl <duration>", "the lock ends so long after its holder stops extending it", "30s")
    .option("--wait <duration>", "queue for it so long instead of refusing when it is held")
    .option("--semaphore <n>", "a semaphore with n holders instead of a mutex")
    .option("--owner <label>", "label shown to others (default: user@pid)")
    .option("--show", "tell who holds it and how many wait, and take nothing")
    .action(verb(lock));
}

/** A line on the terminal that says what the lock waits for, until the wait ends. */
function tellWaiting(tools: Tools, path: string): { end(): void } {
  let shown = false;
  const look = async () => {
    const state = await tools.client.lockState(path);
    if (state.holders.length === 0 || timer === undefined) return;
    process.stderr.write(`\r\x1b[Kwaiting for ${path}: ${stateText(state)}`);
    shown = true;
  };
  let timer: NodeJS.Timeout | undefined = setInterval(() => void look().catch(() => {}), lookMs);
  return {
    end() {
      clearInterval(timer);
      timer = undefined;
      if (shown) process.stderr.write("\r\x1b[K");
    },
  };
}

function stateText({ kind, slots, holders, owners, waiters }: LockState): string {
  if (holders.length === 0) return "nobody holds it";
  const many = kind === "semaphore" ? `semaphore of ${slots}, ` : "";
  const each = holders.map(
    ({ generation, counter }, at) => `${owners[at] || "no label"} (fence ${printFence(generation, counter)})`,
  );
  return `${many}held by ${each.join(", ")}; ${waiters} in the queue`;
}

async function show(tools: Tools, path: string, command: string[]): Promise<number> {
  if (command.length > 0) throw new UsageError("lock: --show runs no command; leave one of them out");
  const state = await tools.client.lockState(path);
  const { kind, slots, owners, waiters } = state;
  const holders = state.holders.map(({ lockId, generation, counter, ttlMs }, at) => ({
    owner: owners[at] ?? "",
    fence: printFence(generation, counter),
    lockId: hexOf(lockId),
    ttlMs,
  }));
  tools.print(`${path}: ${stateText(state)}`, { path, kind, slots, holders, waiters });
  return 0;
}

/** What a shell would show: the command's own code, or 128 and the number of the signal that ended it. */
export function exitCodeOf(status: number | null, signal: NodeJS.Signals | null): number {
  return status ?? (signal === null ? 1 : 128 + constants.signals[signal]);
}

async function lock(tools: Tools, path: string, command: string[], flags: LockFlags): Promise<number> {
  if (flags.show) return show(tools, path, command);
  if (command.length === 0)
    throw new UsageError("lock: give a command after --, such as: nexus lock /jobs/a -- sh -c 'echo $NEXUS_FENCE'");
  const slots = flags.semaphore === undefined ? undefined : parseCount(flags.semaphore, "--semaphore", { least: 1 });
  const waitMs = flags.wait === undefined ? 0 : parseDuration(flags.wait, "--wait");
  const options = {
    ttlMs: parseDuration(flags.ttl, "--ttl"),
    waitMs,
    kind: slots === undefined ? ("mutex" as const) : ("semaphore" as const),
    slots,
    owner: flags.owner ?? `${process.env["USER"] ?? "nexus"}@${process.pid}`,
  };
  const waiting = waitMs > 0 && process.stderr.isTTY ? tellWaiting(tools, path) : undefined;
  const held = await tools.client.lock(path, options).finally(() => waiting?.end());
  // A group of its own is killed with all its children; on a terminal it could not read from it.
  const detached = !process.stdin.isTTY;
  const child = spawn(command[0]!, command.slice(1), {
    stdio: "inherit",
    detached,
    env: { ...process.env, NEXUS_FENCE: held.fence, NEXUS_LOCK_PATH: path },
  });
  const forward = (signal: NodeJS.Signals) => {
    if (!detached || child.pid === undefined) return child.kill(signal);
    try {
      return process.kill(-child.pid, signal);
    } catch {
      return false; // it has ended meanwhile
    }
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => forward(signal));
  let lost = false;
  held.signal.addEventListener("abort", () => {
    lost = true;
    process.stderr.write(`nexus: the lock ${path} is lost (${messageOf(held.signal.reason)}); stopping the command\n`);
    forward("SIGTERM");
    setTimeout(() => forward("SIGKILL"), killAfterMs).unref();
  });
  const code = await new Promise<number>((resolve) => {
    child.on("error", (error) => {
      const { code } = error as NodeJS.ErrnoException;
      process.stderr.write(`nexus: ${command[0]}: ${code === "ENOENT" ? "no such command" : error.message}\n`);
      resolve(127);
    });
    child.on("exit", (status, signal) => resolve(exitCodeOf(status, signal)));
  });
  if (lost) return lostCode;
  await held
    .release()
    .catch((error) => process.stderr.write(`nexus: releasing ${path}: ${messageOf(error)} (it ends by its TTL)\n`));
  return code;
}
