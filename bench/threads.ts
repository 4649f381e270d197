import { readdirSync, readFileSync } from "node:fs";

/** CPU time of a process so far by kind of thread, microseconds; a thread that ended meanwhile is left out. */
export function threadTimes(pid: number): Map<string, number> {
  const times = new Map<string, number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      const folder = `/proc/${pid}/task/${thread}`;
      const kind = Number(thread) === pid ? "main" : kindOf(readFileSync(`${folder}/comm`, "utf8"));
      const micros = Number(readFileSync(`${folder}/schedstat`, "utf8").split(" ")[0]) / 1000;
      times.set(kind, (times.get(kind) ?? 0) + micros);
    } catch {
      // It has ended between the listing and the look.
    }
  }
  return times;
}

function kindOf(comm: string): string {
  if (comm.startsWith("libuv")) return "threads of the disk";
  return comm.startsWith("V8") ? "threads of the garbage collector" : "other threads";
}

/** What was spent between two looks. */
export function spent(before: Map<string, number>, after: Map<string, number>): Map<string, number> {
  return new Map([...after].map(([kind, micros]) => [kind, micros - (before.get(kind) ?? 0)]));
}
