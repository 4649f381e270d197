import type { HostSettings } from "../group/settings.ts";
import type { MemoryFaults } from "../transport/memory-hub.ts";
import type { Habits } from "./client.ts";
import type { Death } from "./process.ts";
import type { Topology } from "./template.ts";
import type { Moment } from "./triggers.ts";

/**
 * A box is told by its name or by what it is when the fault comes: @leader, @follower (another full member of the main
 * zone), @other (one more), @system (leads the system zone), @witness (of the main zone).
 */
export type Fault =
  | { kind: "crash"; box: string; death: Death; ms: number }
  | { kind: "blackout"; death: Death; ms: number }
  | { kind: "pause"; box: string; ms: number }
  | { kind: "cut"; from: string; to: string; ms: number }
  | { kind: "isolate"; box: string; but: string[]; way: "both" | "in" | "out"; ms: number }
  | { kind: "slow"; from: string; to: string; byMs: number; ms: number }
  | { kind: "split"; side: string[]; ms: number }
  | { kind: "stall"; box: string; ms: number }
  | { kind: "full"; box: string; ms: number }
  | { kind: "flip"; box: string; place: number }
  | { kind: "wipe"; box: string }
  | { kind: "forget"; box: string }
  | { kind: "clock"; box: string; byMs: number }
  /** All clocks run ahead in steps: a log lives through so much time in a moment, as if it had been used all the while. */
  | { kind: "rush"; byMs: number; everyMs: number; steps: number }
  | { kind: "drain"; box: string; ms: number }
  /**
   * A full member of the main zone and what the witness knew are lost; `witness`: with its disk; `ghost`: the lost disk
   * appears again.
   */
  | { kind: "loseQuorum"; box: string; witness: boolean; ghost: boolean }
  | { kind: "transfer"; zone: string; to: string }
  | { kind: "members"; zone: string; members: string[]; via: string }
  | { kind: "mode"; zone: string; mode: string; via: string }
  | { kind: "rule"; add: boolean; via: string };

export interface PlannedFault {
  atMs: number;
  /** Waits, from then on, for the next such moment, and then for so long. */
  on?: { moment: Moment; delayMs: number };
  fault: Fault;
}

/** Everything a run does that is not drawn on the way: a value, so that a failing run can be tried with less of it. */
export interface Plan {
  seed: number;
  /** What the seed is out for; says which faults and operations there are. */
  kind: string;
  topology: Topology;
  /** Founds its federation itself, instead of starting from a founded one. */
  fresh: boolean;
  host: Partial<HostSettings>;
  net: MemoryFaults;
  clientLoss: number;
  clients: number;
  lockClients: number;
  watchers: number;
  /** Paths that clients read and write. */
  paths: string[];
  habits: Habits;
  /** How long faults and clients go on, ms. */
  spanMs: number;
  faults: PlannedFault[];
  /** At the end a quiet time is waited for, in which no witness may be asked. */
  calm: boolean;
}
