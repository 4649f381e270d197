import { type Measured, sleep } from "./processes.ts";

export interface Load {
  clients: number;
  seconds: number;
  /** Operations a second over all clients; 0: the next one starts when its answer came. */
  rate: number;
}

/** One operation of one client. */
export type Act = (client: number, turn: number) => Promise<unknown>;

/** So many clients, each with one operation under way. The first failure ends it. */
export async function drive(load: Load, act: Act): Promise<Measured> {
  const latencies: number[] = [];
  const start = performance.now();
  const end = start + load.seconds * 1000;
  const one = async (client: number) => {
    for (let turn = 0; ; turn++) {
      if (load.rate > 0) {
        const due = start + ((turn * load.clients + client) / load.rate) * 1000;
        const wait = due - performance.now();
        if (wait > 0) await sleep(wait);
      }
      const began = performance.now();
      if (began >= end) return;
      await act(client, turn);
      latencies.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: load.clients }, (_, client) => one(client)));
  return measured(latencies, (performance.now() - start) / 1000);
}

export function measured(latencies: number[], seconds: number): Measured {
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { rate: sorted.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99), count: sorted.length };
}
