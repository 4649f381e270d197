// What is measured, side by side: how each row is asked of our side and of the peer, and which way is better.

import type { Ours } from "./ours.ts";
import type { Etcd } from "./peers/etcd.ts";
import type { Measured } from "./processes.ts";

export interface Row {
  name: string;
  clients: number;
  unit: "ops/s" | "ms";
  /** What is shown of a measured run. */
  of: "rate" | "p50Ms";
  ours: string;
  peer: string;
  seconds: number;
  /** Where a target is set (shared numbers of the product): ours must be so many times better. */
  target?: number;
}

const put = { name: "put 256 B", ours: "put", peer: "put" } as const;
const rate = { unit: "ops/s", of: "rate" } as const;
const middle = { unit: "ms", of: "p50Ms" } as const;

export const rows: readonly Row[] = [
  { ...put, clients: 1, ...rate, seconds: 3 },
  { ...put, name: "put 256 B, p50", clients: 1, ...middle, seconds: 3, target: 2 },
  { ...put, clients: 64, ...rate, seconds: 4, target: 5 },
  { ...put, clients: 256, ...rate, seconds: 4, target: 5 },
  { name: "linearizable get 256 B", ours: "get", peer: "get", clients: 64, ...rate, seconds: 4, target: 5 },
  { name: "stale local get, p50", ours: "stale", peer: "stale", clients: 1, ...middle, seconds: 2 },
  { name: "lock + unlock, p50", ours: "lock", peer: "lock", clients: 1, ...middle, seconds: 3, target: 2 },
  { name: "batch of 1000 files, p50", ours: "batch", peer: "batch", clients: 1, ...middle, seconds: 3 },
];

/** Before the rows of a round, so that neither side is measured cold. */
const warmup = { clients: 64, seconds: 3 };
/** Share of the peak rate at which latency is measured. */
export const calmShare = 0.1;

/** Runs every row on one side; rows that differ only in what is shown share a run. */
export async function measureRows(system: Ours | Etcd, side: "ours" | "peer"): Promise<Map<Row, number>> {
  await system.load("put", warmup);
  const seen = new Map<string, Measured>();
  const out = new Map<Row, number>();
  for (const row of rows) {
    const key = `${row[side]} ${row.clients}`;
    const found = seen.get(key) ?? (await system.load(row[side], { clients: row.clients, seconds: row.seconds }));
    seen.set(key, found);
    out.set(row, found[row.of]);
  }
  return out;
}
