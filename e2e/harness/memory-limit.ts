// A memory limit by the kernel's own groups, v1 or v2, written by hand: no systemd is needed, only root.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface MemoryGroup {
  /** A command line that runs the given one inside the group. */
  wrap(command: string, args: readonly string[]): { command: string; args: string[] };
  /** Most bytes ever charged, page cache included. */
  peakBytes(): number;
  /** Processes killed because the limit did not suffice. */
  kills(): number;
  /** When all its processes have ended. */
  remove(): void;
}

const root = "/sys/fs/cgroup";

/** The reason, as a text, when this machine does not let us make groups. */
export function memoryGroup(name: string, limitBytes: number): MemoryGroup | string {
  const version = existsSync(join(root, "cgroup.controllers")) ? 2 : 1;
  const folder = join(root, version === 1 ? "memory" : "", name);
  const set = (file: string, value: string | number) => writeFileSync(join(folder, file), String(value));
  const get = (file: string) => readFileSync(join(folder, file), "utf8");
  try {
    mkdirSync(folder, { recursive: true });
    set(version === 1 ? "memory.limit_in_bytes" : "memory.max", limitBytes);
    if (version === 2) set("memory.swap.max", 0);
  } catch (error) {
    return `no memory group can be made in ${folder} (${error})`;
  }
  const kills = () => {
    const found = /oom_kill (\d+)/.exec(get(version === 1 ? "memory.oom_control" : "memory.events"));
    return Number(found?.[1] ?? 0);
  };
  return {
    wrap: (command, args) => ({
      command: "sh",
      args: ["-ec", `echo $$ > ${folder}/cgroup.procs; exec "$@"`, "sh", command, ...args],
    }),
    peakBytes: () => Number(get(version === 1 ? "memory.max_usage_in_bytes" : "memory.peak")),
    kills,
    remove: () => rmdirSync(folder),
  };
}
