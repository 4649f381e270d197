// Medians of the rounds, the ratio and the table.
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";

export interface ReportRow {
  name: string;
  clients: number;
  unit: string;
  /** Medians over the rounds; null: not measured on that side. */
  ours: number | null;
  peer: number | null;
  /** How many times better ours is, whichever way is better for the unit; null without both. */
  ratio: number | null;
  /** The ratio that is to be reached; null where none is set. */
  target: number | null;
  peerName: string;
  /** Every round's figures, in order. */
  rounds: { ours: number[]; peer: number[] };
}

export function reportRow(init: {
  name: string;
  clients: number;
  unit: string;
  target?: number | undefined;
  peerName: string;
  ours: number[];
  peer: number[];
}): ReportRow {
  const { name, clients, unit, target, peerName } = init;
  const ours = median(init.ours);
  const peer = median(init.peer);
  const both = ours !== null && peer !== null && ours > 0 && peer > 0;
  const ratio = both ? (unit === "ms" ? peer / ours : ours / peer) : null;
  const rounds = { ours: init.ours, peer: init.peer };
  return { name, clients, unit, ours, peer, ratio, target: target ?? null, peerName, rounds };
}

function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function setup(): string[] {
  const [cpu] = cpus();
  const kernel = `Linux ${release()}`;
  const load = readFileSync("/proc/loadavg", "utf8").split(" ", 3).join(" ");
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  return [
    `machine: ${cpus().length} × ${cpu?.model.trim()}, ${memory}, ${kernel}, Node ${process.version}; load before: ${load}`,
    "ours: 2 data boxes + 1 witness, strong_ha, TLS 1.3 between nodes and to the client, TypeScript client, O_DSYNC log",
    "etcd: 3 members, TLS between members and to the client, its Go client at the leader's endpoint, fsync on",
    "both: one machine, loopback, client in a process of its own, one connection, one operation a client under way",
  ];
}

export function table(rows: readonly ReportRow[]): string {
  const head = ["row", "clients", "ours", "peer", "ratio", "target", "peer is"];
  const cells = rows.map((row) => [
    row.name,
    String(row.clients),
    figure(row.ours, row.unit),
    figure(row.peer, row.unit),
    row.ratio === null ? "-" : `${row.ratio.toFixed(2)} x`,
    row.target === null ? "-" : `${row.target} x${row.ratio !== null && row.ratio < row.target ? " (missed)" : ""}`,
    row.peerName,
  ]);
  const widths = head.map((_, i) => Math.max(...[head, ...cells].map((line) => line[i]!.length)));
  const show = (line: string[]) =>
    line
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join("  ")
      .trimEnd();
  return [head, ...cells].map(show).join("\n");
}

function figure(value: number | null, unit: string): string {
  if (value === null) return "-";
  if (unit === "MB/s") return `${(value / 1e6).toFixed(0)} MB/s`;
  if (unit === "ms") return `${value.toFixed(2)} ms`;
  if (unit === "KiB" || unit === "MiB") return `${value.toFixed(1)} ${unit}`;
  if (unit === "cores") return `${value.toFixed(3)} cores`;
  return `${Math.round(value).toLocaleString("en")} /s`;
}
