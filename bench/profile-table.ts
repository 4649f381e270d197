// What a CPU profile says: the hottest functions, and the time of the main thread by part of the program.
import type { Profile } from "./inspected.ts";

/** A longer time between two samples was not spent where the second lies: the inspector or other processes had the thread. */
const deltaMax = 1_000;

/** The profile without such times: opening and closing an inspector took 0.4 s, all of it in whatever ran then. */
export function steady(profile: Profile): Profile {
  return { ...profile, timeDeltas: profile.timeDeltas.map((delta) => Math.min(delta, deltaMax)) };
}

/** Functions by self time, % of the profile. */
export function hottest(profile: Profile, count: number): string {
  const self = new Map<number, number>();
  let total = 0;
  for (const [i, id] of profile.samples.entries()) {
    const delta = profile.timeDeltas[i] ?? 0;
    self.set(id, (self.get(id) ?? 0) + delta);
    total += delta;
  }
  const byPlace = new Map<string, number>();
  for (const { id, callFrame } of profile.nodes) {
    const { functionName, url, lineNumber } = callFrame;
    const file = url.replace(/^.*\/(node_modules|node\/src|bench|proto)\//, "$1/");
    const place = `${functionName || "(anonymous)"} ${file}${url === "" ? "" : `:${lineNumber + 1}`}`;
    byPlace.set(place, (byPlace.get(place) ?? 0) + (self.get(id) ?? 0));
  }
  const sorted = [...byPlace].sort((a, b) => b[1] - a[1]).slice(0, count);
  return sorted.map(([place, time]) => `${((100 * time) / total).toFixed(1).padStart(6)} %  ${place}`).join("\n");
}

/** Parts of the program by the folder of ours (or the library) that a sample lies in, deepest first. */
const partOf: Record<string, string> = {
  transport: "frames, TLS and sockets",
  server: "requests and answers",
  box: "requests and answers",
  auth: "requests and answers",
  zones: "requests and answers",
  client: "requests and answers",
  proto: "requests and answers",
  telemetry: "metrics",
  group: "turns and consensus",
  raft: "turns and consensus",
  log: "log",
  machine: "apply",
  tree: "apply",
  storage: "store (RocksDB)",
  rocksdb: "store (RocksDB)",
  bench: "the load itself",
  "(garbage collector)": "garbage collection",
};
const elsewhere = "Node itself";

/** Share of the time in which the thread was not idle, by part. */
export function partShares(profile: Profile): Map<string, number> {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(profile.nodes.flatMap(({ id, children }) => (children ?? []).map((child) => [child, id])));
  const shares = new Map<string, number>();
  let total = 0;
  for (const [i, sample] of profile.samples.entries()) {
    if (nodes.get(sample)?.callFrame.functionName === "(idle)") continue;
    const delta = profile.timeDeltas[i] ?? 0;
    let part: string | undefined;
    for (let id: number | undefined = sample; id !== undefined && part === undefined; id = parents.get(id)) {
      part = partOf[folderOf(nodes.get(id)!.callFrame)];
    }
    total += delta;
    shares.set(part ?? elsewhere, (shares.get(part ?? elsewhere) ?? 0) + delta);
  }
  return new Map([...shares].map(([part, time]) => [part, time / total]));
}

function folderOf({ url, functionName }: { url: string; functionName: string }): string {
  const own = /\/(?:node\/src|node_modules\/@nxtedition)\/([^/]+)\//.exec(url)?.[1];
  return own ?? (/\/(bench|proto)\//.exec(url)?.[1] || functionName);
}

/** One process: CPU time an operation by kind of thread, microseconds, and the shares of its main thread. */
export interface Share {
  name: string;
  threads: Map<string, number>;
  parts: Map<string, number>;
}

/** A Markdown table: microseconds of CPU an operation, a column for each process. */
export function costTable(shares: readonly Share[]): string {
  const rows = new Map<string, number[]>();
  const add = (row: string, column: number, value: number) => {
    const values = rows.get(row) ?? shares.map(() => 0);
    values[column]! += value;
    rows.set(row, values);
  };
  for (const [column, { threads, parts }] of shares.entries()) {
    for (const [part, share] of parts) add(part, column, share * (threads.get("main") ?? 0));
    for (const [thread, micros] of threads) if (thread !== "main") add(thread, column, micros);
    for (const micros of threads.values()) add("all", column, micros);
  }
  const sum = (values: number[]) => values.reduce((all, value) => all + value, 0);
  const line = ([row, values]: [string, number[]]) =>
    `| ${[row, ...[...values, sum(values)].map((value) => value.toFixed(1))].join(" | ")} |`;
  const head = ["us of CPU an operation", ...shares.map(({ name }) => name), "sum"];
  const sorted = [...rows].sort((a, b) => sum(a[1]) - sum(b[1]));
  return [`| ${head.join(" | ")} |`, `|${"---|".repeat(head.length)}`, ...sorted.reverse().map(line)].join("\n");
}
