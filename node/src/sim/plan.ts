import type { Random } from "../base/clock.ts";
import { seededRandom } from "../base/seeded-random.ts";
import type { MemoryFaults } from "../transport/memory-hub.ts";
import type { Habits } from "./client.ts";
import type { ZonePlan } from "./founding.ts";
import type { Death } from "./process.ts";

export type Fault =
  | { kind: "crash"; box: string; death: Death; ms: number }
  | { kind: "blackout"; death: Death; ms: number }
  | { kind: "pause"; box: string; ms: number }
  | { kind: "cut"; from: string; to: string; ms: number }
  | { kind: "split"; side: string[]; ms: number }
  | { kind: "stall"; box: string; ms: number }
  | { kind: "full"; box: string; ms: number }
  | { kind: "flip"; box: string; place: number }
  | { kind: "forget"; box: string }
  | { kind: "clock"; box: string; byMs: number }
  | { kind: "transfer"; zone: string; to: string }
  | { kind: "members"; zone: string; members: string[]; via: string }
  | { kind: "mode"; zone: string; mode: string; via: string }
  | { kind: "rule"; add: boolean; via: string };

export interface PlannedFault {
  atMs: number;
  fault: Fault;
}

/** Everything a run does that is not drawn on the way: a value, so that a failing run can be tried with less of it. */
export interface Plan {
  seed: number;
  boxes: string[];
  system: string[];
  zones: ZonePlan[];
  /** Members of the zone that rule changes bind and detach. */
  extra: string[];
  net: MemoryFaults;
  clientLoss: number;
  clients: number;
  lockClients: number;
  habits: Habits;
  /** How long faults and clients go on, ms. */
  spanMs: number;
  faults: PlannedFault[];
}

const data = ["a", "b", "c"];
const witnesses = ["w", "wx"];
const trio = ["a", "b", "c"];
const pair = ["a", "b", "w"];
const memberships = [
  pair,
  ["a", "c", "w"],
  ["b", "c", "w"],
  ["a", "b", "wx"],
  trio,
  ["a"],
  ["b"],
  ["a", "b", "w", "c:learner"],
];

export function planOf(seed: number): Plan {
  const random = seededRandom(seed * 2_654_435_761 + 97);
  const draw = new Draw(random);
  const spanMs = 1_500 + draw.below(2_500);
  const main: ZonePlan = { zone: "main", pattern: "/**", mode: "strong_ha", members: draw.unit() < 0.7 ? pair : trio };
  const zones = [main];
  const side = draw.unit();
  if (side < 0.3) zones.push({ zone: "side", pattern: "/s/**", mode: "strong", members: ["c"] });
  else if (side < 0.5) zones.push({ zone: "side", pattern: "/s/**", mode: "eventual", members: ["b", "a:learner"] });
  return {
    seed,
    boxes: [...data, ...witnesses],
    system: draw.unit() < 0.6 ? pair : trio,
    zones,
    extra: draw.of([["c"], ["b"], trio, pair]),
    net: netOf(draw),
    clientLoss: draw.unit() < 0.5 ? 0 : draw.unit() * 0.15,
    clients: 2 + draw.below(4),
    lockClients: draw.below(3),
    habits: {
      retry: draw.of([0, 0.5, 0.9]),
      ids: draw.of([0.3, 1]),
      timeoutMs: { least: draw.of([40, 300]), more: draw.of([200, 1_500]) },
      pauseMs: draw.of([5, 30, 80]),
    },
    spanMs,
    faults: faultsOf(draw, zones, spanMs),
  };
}

class Draw {
  readonly #random: Random;
  constructor(random: Random) {
    this.#random = random;
  }
  unit(): number {
    return this.#random.unit();
  }
  below(limit: number): number {
    return Math.floor(this.#random.unit() * limit);
  }
  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }
}

function netOf(draw: Draw): MemoryFaults {
  const wild = draw.unit();
  return {
    delayMinMs: 0.1,
    delayMaxMs: wild < 0.5 ? 0.5 : draw.of([3, 20, 60]),
    lossRate: wild < 0.5 ? 0 : draw.unit() * 0.1,
    duplicateRate: wild < 0.6 ? 0 : draw.unit() * 0.1,
    reorder: wild > 0.6,
    silenceMs: draw.of([100, 400, 1_000]),
    reconnectMs: 20,
  };
}

function faultsOf(draw: Draw, zones: readonly ZonePlan[], spanMs: number): PlannedFault[] {
  const gapMs = draw.of([60, 150, 400]);
  // A run is sharper when it does few kinds of things often.
  const kinds = [...makers].filter(() => draw.unit() < 0.45);
  if (kinds.length === 0) kinds.push(makers[0] as Maker);
  const faults: PlannedFault[] = [];
  for (let atMs = draw.below(200); atMs < spanMs; atMs += draw.below(2 * gapMs)) {
    faults.push({ atMs, fault: draw.of(kinds)(draw, zones) });
  }
  return faults;
}

type Maker = (draw: Draw, zones: readonly ZonePlan[]) => Fault;
const short = (draw: Draw) => 20 + draw.below(draw.of([100, 400, 1_500]));
const anyBox = (draw: Draw) => draw.of([...data, ...data, ...witnesses]);

const makers: readonly Maker[] = [
  (draw) => ({ kind: "crash", box: anyBox(draw), death: draw.of(["power", "kill"]), ms: short(draw) }),
  (draw) => ({ kind: "crash", box: draw.of(data), death: "power", ms: 10 + draw.below(60) }),
  (draw) => ({ kind: "blackout", death: draw.of(["power", "kill"]), ms: short(draw) }),
  (draw) => ({ kind: "pause", box: anyBox(draw), ms: short(draw) }),
  (draw) => ({ kind: "cut", from: anyBox(draw), to: anyBox(draw), ms: short(draw) }),
  (draw) => ({ kind: "split", side: [...data, ...witnesses].filter(() => draw.unit() < 0.4), ms: short(draw) }),
  (draw) => ({ kind: "stall", box: anyBox(draw), ms: short(draw) }),
  (draw) => ({ kind: "full", box: draw.of(data), ms: short(draw) }),
  (draw) => ({ kind: "flip", box: draw.of(data), place: draw.unit() }),
  (draw) => ({ kind: "forget", box: draw.of(witnesses) }),
  (draw) => ({ kind: "clock", box: anyBox(draw), byMs: draw.of([-3_600_000, 3_600_000, -500, 500, -50_000, 50_000]) }),
  (draw, zones) => ({
    kind: "transfer",
    zone: draw.of([...zones.map((one) => one.zone), "system"]),
    to: draw.of([...data, ""]),
  }),
  (draw) => ({
    kind: "members",
    zone: draw.of(["main", "main", "system"]),
    members: draw.of(memberships),
    via: draw.of(data),
  }),
  (draw) => ({ kind: "mode", zone: "main", mode: draw.of(["strong_ha", "strong", "eventual"]), via: draw.of(data) }),
  (draw) => ({ kind: "rule", add: draw.unit() < 0.6, via: draw.of(data) }),
];
