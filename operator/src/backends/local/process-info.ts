import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

/**
 * When the process started, as an opaque text; undefined when there is no such process. Together with the pid it names
 * one process for good: pids are used again, pid and start time are not.
 */
export function startTimeOf(pid: number): string | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  if (process.platform === "linux") {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return fields[0] === "Z" ? undefined : fields[19];
    } catch {
      return undefined;
    }
  }
  try {
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Pid and start time: one process for good. */
export interface ProcessIdentity {
  pid: number;
  startTime: string;
}

/** What a process file says; undefined when it is not there or not whole. */
export function readIdentity(path: string): ProcessIdentity | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const { pid, startTime } = JSON.parse(readFileSync(path, "utf8")) as ProcessIdentity;
    return typeof pid === "number" && typeof startTime === "string" ? { pid, startTime } : undefined;
  } catch {
    return undefined;
  }
}

/** Sends the signal only to that very process; false when it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (startTimeOf(identity.pid) !== identity.startTime) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch {
    return false;
  }
}
