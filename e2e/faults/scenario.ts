// What `npm run faults` runs: scenarios, each with a federation of its own, figures, and a verdict. Why not tests of a
// test runner: they take hours, are run in parts, go on where they were stopped, and their figures matter as much as
// their verdicts. The sketch: loads (loads/) keep clients busy and write histories, strikes (strikes/) do harm and mend
// it, scenarios (scenarios/) bring both together; main.ts runs them one after the other and keeps a line for each.
import type { Random } from "@nexus-federation/node/base/clock.ts";
import type { Federation } from "../harness/federation.ts";
import type { Partitions } from "../harness/partitions.ts";

export interface Run {
  /** Leaders that are struck, and switchovers that are made, in each scenario that counts them. */
  kills: number;
  /** Length of a scenario that is bounded by time. */
  minutes: number;
  /** Same seed, same choices; what the machine makes of them differs. */
  random: Random;
  /** Of its own, for histories. */
  folder: string;
  /** Cuts with TCP proxies though network namespaces could be had. */
  proxies: boolean;
  /** Shows how far it is. */
  progress(text: string): void;
  /** Aborted by Ctrl-C: scenarios end at their next step. */
  stopped: AbortSignal;
}

/** Everything seen, and one sentence for each thing that must not be. */
export interface Finding {
  figures: Record<string, number | string>;
  wrong: string[];
}

export interface Scenario {
  name: string;
  /** One sentence for --help. */
  about: string;
  /** The sentence says why it cannot be run on this machine. */
  run(run: Run): Promise<Finding | string>;
}

/** A federation whose boxes can be cut off from each other where this machine lets us. */
export interface World {
  federation: Federation;
  /** Why there is none, as a sentence. */
  network: Partitions | string;
  random: Random;
}

export const dataBoxes = ["nexus-1", "nexus-2"] as const;
export const witnessBox = "witness-1";
export const boxes = [...dataBoxes, witnessBox];
export const otherThan = (box: string) => (box === dataBoxes[0] ? dataBoxes[1] : dataBoxes[0]);

export function pick<T>(random: Random, list: readonly T[]): T {
  return list[Math.floor(random.unit() * list.length)] as T;
}
