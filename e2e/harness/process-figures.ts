// What Linux says of a process.
import { readFileSync } from "node:fs";

/** Unit of /proc/PID/stat, ms. */
const tickMs = 10;

/** All that is resident, or what only this process has and cannot be dropped; 0 when it is gone, or the system is another. */
export function memoryBytes(pid: number, field: "VmRSS" | "RssAnon" = "VmRSS"): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Processor time since it began. */
export function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}
