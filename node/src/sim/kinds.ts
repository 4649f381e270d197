import { seededRandom } from "../base/seeded-random.ts";
import type { MemoryFaults } from "../transport/memory-hub.ts";
import type { Habits } from "./client.ts";
import { Draw } from "./draw.ts";
import * as make from "./makers.ts";
import type { Plan, PlannedFault } from "./plan.ts";
import type { Topology } from "./template.ts";
import * as topologies from "./topologies.ts";

/**
 * What a seed is out for. A run in which everything happens reaches few corners: a lock that lives half a second never
 * meets the crash that it needs. So each seed draws one kind, which says where it happens, which faults there are and
 * how clients behave; within it everything is drawn.
 */
type Kind = (draw: Draw) => Omit<Plan, "seed">;

function base(draw: Draw, kind: string, topology: Topology): Omit<Plan, "seed"> {
  return {
    kind,
    topology,
    fresh: draw.chance(0.02),
    host: hostOf(draw),
    net: calmNet(draw),
    clientLoss: draw.chance(0.6) ? 0 : draw.unit() * 0.15,
    clients: draw.between(2, 4),
    lockClients: 0,
    watchers: 0,
    paths: ["/r0", "/r1"],
    habits: habitsOf(draw),
    spanMs: draw.chance(0.08) ? draw.between(1_500, 3_500) : draw.between(400, 1_200),
    faults: [],
    calm: draw.chance(0.1),
  };
}

function hostOf(draw: Draw): Plan["host"] {
  return {
    compactEntries: draw.of([20, 60, 200]),
    keepEntries: draw.of([2, 10]),
    caughtUpEntries: 16,
    membershipMs: draw.of([20, 100]),
    messageBytesMax: draw.chance(0.3) ? 1 : 512 * 1024,
  };
}

function habitsOf(draw: Draw): Habits {
  return {
    retry: draw.of([0, 0.5, 0.9]),
    ids: draw.of([0.3, 1]),
    timeoutMs: { least: draw.of([40, 300]), more: draw.of([200, 1_000]) },
    pauseMs: draw.of([8, 30, 80]),
    reads: draw.of([0.2, 0.4, 0.7]),
    stale: draw.of([0, 0.1, 0.3]),
    home: draw.of([0, 0.5, 0.9]),
    chunked: draw.of([0, 0.1, 0.4]),
    lateCopies: draw.of([0, 0.15]),
    lateMs: draw.of([300, 1_000]),
    concerned: draw.of([0, 0.2]),
  };
}

/** Who waits long for one answer sees little of a short run. */
function impatient(draw: Draw): Habits["timeoutMs"] {
  return { least: draw.of([20, 20, 100]), more: draw.of([60, 300]) };
}

function calmNet(draw: Draw): MemoryFaults {
  return {
    delayMinMs: 0.1,
    delayMaxMs: draw.of([0.5, 0.5, 3]),
    lossRate: 0,
    duplicateRate: 0,
    reorder: false,
    silenceMs: draw.of([100, 400, 1_000]),
    reconnectMs: 20,
  };
}

function wildNet(draw: Draw): MemoryFaults {
  return {
    ...calmNet(draw),
    delayMaxMs: draw.of([3, 20, 60]),
    lossRate: draw.of([0, draw.unit() * 0.1]),
    duplicateRate: draw.of([0, draw.unit() * 0.2]),
    reorder: draw.chance(0.6),
  };
}

/** Faults of these makers, one after the other. */
function faultsOf(draw: Draw, plan: Omit<Plan, "seed">, makers: readonly make.Maker[], gapMs?: number): PlannedFault[] {
  const gap = gapMs ?? draw.of([60, 150, 400]);
  const faults: PlannedFault[] = [];
  for (let atMs = draw.below(120); atMs < plan.spanMs; atMs += draw.below(2 * gap)) {
    const { fault, on } = draw.of(makers)(draw, plan);
    faults.push(on === undefined ? { atMs, fault } : { atMs, on, fault });
  }
  return faults;
}

function some(draw: Draw, makers: readonly make.Maker[], share = 0.5): readonly make.Maker[] {
  const chosen = makers.filter(() => draw.chance(share));
  return chosen.length > 0 ? chosen : [draw.of(makers)];
}

const mixed: Kind = (draw) => {
  const topology = draw.of([topologies.wide(draw), topologies.pairOnly, topologies.trioOnly]);
  const plan = base(draw, "mixed", topology);
  plan.paths = ["/r0", "/r1"];
  if (topology.extra.length > 0) plan.paths.push("/x/r2");
  if (topology.zones.length > 1) plan.paths.push("/s/r3");
  plan.lockClients = draw.below(2);
  plan.watchers = draw.below(2);
  if (draw.chance(0.5)) plan.net = wildNet(draw);
  plan.faults = faultsOf(draw, plan, some(draw, make.all, 0.4));
  return plan;
};

/** Leaders that are cut off and asked to read. */
const partition: Kind = (draw) => {
  const plan = base(draw, "partition", draw.of([topologies.pairOnly, topologies.pairOnly, topologies.trioOnly]));
  plan.paths = ["/r0"];
  plan.clients = draw.between(3, 6);
  const timeoutMs = { least: 20, more: 60 };
  plan.habits = { ...plan.habits, home: 1, reads: 0.5, stale: draw.of([0, 0.2]), pauseMs: 8, timeoutMs };
  if (draw.chance(0.3)) plan.net = wildNet(draw);
  const makers = [
    make.isolateLeader,
    make.isolateLeader,
    make.isolate,
    make.cutLeader,
    make.pauseLeader,
    make.transfer,
  ];
  plan.faults = faultsOf(draw, plan, some(draw, makers), draw.of([150, 300]));
  return plan;
};

/** Terms that follow each other fast, and leaders that leave something behind. */
const elections: Kind = (draw) => {
  const plan = base(draw, "elections", draw.of([topologies.trioOnly, topologies.trioOnly, topologies.pairOnly]));
  plan.host = { ...plan.host, messageBytesMax: draw.of([1, 1, 512 * 1024]) };
  plan.habits = { ...plan.habits, reads: 0.1, pauseMs: 10 };
  const makers = [make.isolateNewLeader, make.crashNewLeader, make.crashVoter, make.crashLeader, make.isolateLeader];
  plan.faults = faultsOf(draw, plan, [...some(draw, makers), make.isolateNewLeader], draw.of([80, 160]));
  return plan;
};

/** Configurations that change while members are away. */
const members: Kind = (draw) => {
  if (draw.chance(0.3)) return halves(draw);
  const plan = base(draw, "members", draw.of([topologies.spares, topologies.spares, topologies.learning]));
  plan.host = { ...plan.host, membershipMs: 20 };
  plan.spanMs = draw.between(700, 1_800);
  plan.habits = { ...plan.habits, pauseMs: 12, home: draw.of([0.5, 1]), timeoutMs: impatient(draw) };
  if (draw.chance(0.3)) plan.net = wildNet(draw);
  const makers = [
    make.crashAtChange,
    make.isolateAtChange,
    make.cutAtChange,
    make.crash,
    make.isolateLeader,
    make.transfer,
  ];
  plan.faults = faultsOf(draw, plan, [make.members, make.members, ...some(draw, makers)], draw.of([80, 200]));
  return plan;
};

/**
 * A witness that is replaced, and a leader that is left alone with the new one the moment its two halves differ: the
 * peer knows only the old half, and is elected by it.
 */
const halves: Kind = (draw) => {
  const plan = base(draw, "halves", topologies.spares);
  plan.host = { ...plan.host, membershipMs: 20 };
  plan.clients = 2;
  plan.spanMs = draw.between(700, 1_500);
  plan.habits = { ...plan.habits, pauseMs: 10, reads: 0.5, home: 1, chunked: 0, timeoutMs: impatient(draw) };
  let next = "wx";
  for (let atMs = draw.below(150); atMs < plan.spanMs; atMs += draw.between(700, 1_400)) {
    plan.faults.push({ atMs, fault: { kind: "members", zone: "main", members: ["a", "b", next], via: "c" } });
    plan.faults.push({ atMs, ...make.leaveWith(next)(draw, plan) });
    next = next === "w" ? "wx" : "w";
  }
  return plan;
};

/** A leader without its peer, a witness that is slow to answer, a peer that comes and goes. */
const solo: Kind = (draw) => {
  const topology = draw.of([topologies.pairOnly, topologies.pairLearning, topologies.spares]);
  const plan = base(draw, "solo", topology);
  plan.spanMs = draw.between(700, 2_000);
  plan.habits = { ...plan.habits, pauseMs: 12, home: draw.of([0.5, 1]), timeoutMs: impatient(draw) };
  if (draw.chance(0.4)) plan.net = wildNet(draw);
  const makers = [
    make.slowWitness,
    make.losePeer,
    make.losePeer,
    make.isolateLeader,
    make.cutWitness,
    make.crashAtEpoch,
  ];
  if (topology !== topologies.pairOnly) makers.push(make.members, make.members);
  plan.faults = faultsOf(draw, plan, [make.losePeer, ...some(draw, makers)], draw.of([80, 200]));
  return plan;
};

const locks: Kind = (draw) => {
  const plan = base(draw, "locks", draw.of([topologies.pairOnly, topologies.trioOnly]));
  plan.clients = 1;
  plan.watchers = draw.below(2);
  plan.lockClients = draw.between(2, 5);
  plan.spanMs = draw.between(700, 2_000);
  if (draw.chance(0.5)) plan.net = { ...wildNet(draw), lossRate: 0 };
  const makers = [make.crashLeader, make.transfer, make.pauseLeader, make.stall, make.isolateLeader, make.losePeer];
  plan.faults = faultsOf(draw, plan, some(draw, makers), draw.of([150, 300]));
  return plan;
};

/** Clocks that jump while requests are repeated. */
const clocks: Kind = (draw) => {
  const plan = base(draw, "clocks", draw.of([topologies.pairOnly, topologies.trioOnly]));
  plan.habits = { ...plan.habits, ids: 1, retry: 0.9, reads: 0.2, lateCopies: 0.6, pauseMs: 10 };
  plan.faults = faultsOf(
    draw,
    plan,
    [make.clock, ...some(draw, [make.transfer, make.crashLeader, make.pauseLeader])],
    250,
  );
  return plan;
};

/**
 * Requests that come again after their answers were forgotten: minutes of the log's time pass in a fraction of a second,
 * while the network still holds copies from before.
 */
const late: Kind = (draw) => {
  const plan = base(draw, "late", draw.of([topologies.pairOnly, topologies.trioOnly]));
  plan.spanMs = draw.between(1_200, 2_000);
  plan.habits = { ...plan.habits, ids: 1, reads: 0.2, lateCopies: 0.8, lateMs: 1_000, chunked: 0, pauseMs: 10 };
  const others = some(draw, [make.transfer, make.crashLeader, make.crash, make.losePeer, make.power], 0.3);
  plan.faults = faultsOf(draw, plan, others, 400);
  plan.faults.push({ atMs: draw.between(150, 500), ...make.rush(draw, plan) });
  return plan;
};

/**
 * A leader that goes into SOLO again and again in one term, while what it asked of the witness the first time is still on
 * its way.
 */
const engagements: Kind = (draw) => {
  const plan = base(draw, "engagements", draw.of([topologies.pairOnly, topologies.pairOnly, topologies.spares]));
  plan.net = { ...calmNet(draw), reorder: true, silenceMs: 3_000 };
  plan.spanMs = draw.between(2_000, 3_200);
  plan.habits = { ...plan.habits, pauseMs: 12, reads: 0.2, chunked: 0, timeoutMs: impatient(draw) };
  for (let atMs = draw.between(60, 200); atMs < plan.spanMs; atMs += draw.between(600, 900)) {
    const byMs = draw.between(500, 1_100);
    plan.faults.push({ atMs: atMs - 20, fault: { kind: "slow", from: "@leader", to: "@witness", byMs, ms: 320 } });
    const ms = draw.between(200, 320);
    plan.faults.push({ atMs, fault: { kind: "isolate", box: "@follower", but: [], way: "both", ms } });
  }
  plan.faults.push(...faultsOf(draw, plan, some(draw, [make.crashAtEpoch, make.losePeer, make.transfer], 0.3), 1_200));
  return plan;
};

/** A pair of which one member is lost for good, and what the witness knew: it goes on from the other, on demand. */
const lostQuorum: Kind = (draw) => {
  const plan = base(draw, "recovery", topologies.spares);
  // A recovery looks for two seconds whether those given up are alive.
  plan.spanMs = draw.between(3_400, 4_000);
  plan.habits = { ...plan.habits, pauseMs: 60, chunked: 0, timeoutMs: impatient(draw) };
  const atMs = draw.between(300, 500);
  if (draw.chance(0.6)) plan.faults.push({ atMs: atMs - 250, ...make.losePeer(draw, plan) });
  plan.faults.push({ atMs, ...make.loseQuorum(draw, plan) });
  plan.faults.push(
    ...faultsOf(draw, plan, some(draw, [make.crash, make.pauseLeader, make.stall, make.cut], 0.4), 1_200),
  );
  return plan;
};

/** A subtree that moves between logs under load. */
const rules: Kind = (draw) => {
  const plan = base(draw, "rules", topologies.ceding(draw));
  plan.paths = ["/x/r2", "/x/r3"];
  plan.clients = draw.between(3, 6);
  plan.habits = { ...plan.habits, reads: 0.2, pauseMs: 5, chunked: 0 };
  plan.spanMs = draw.between(800, 2_000);
  const makers = [make.isolateFromSystem, make.crashAtCede, make.crash, make.transfer, make.pauseLeader];
  plan.faults = faultsOf(draw, plan, [make.rule, make.rule, ...some(draw, makers)], draw.of([60, 150]));
  return plan;
};

/** Disks that stop, fill, tear, lie and vanish. */
const disks: Kind = (draw) => {
  const topology = draw.of([topologies.trioOnly, topologies.pairOnly, topologies.spares]);
  const plan = base(draw, "disks", topology);
  plan.habits = { ...plan.habits, reads: 0.2, pauseMs: 10 };
  const makers = [make.flip, make.flip, make.forget, make.wipe, make.full, make.stall, make.power, make.blackout];
  plan.faults = faultsOf(draw, plan, some(draw, makers), draw.of([100, 200]));
  return plan;
};

const modes: Kind = (draw) => {
  const plan = base(draw, "modes", topologies.spares);
  const makers = [make.isolateLeader, make.crash, make.transfer, make.clock, make.drain];
  plan.faults = faultsOf(draw, plan, [make.mode, ...some(draw, makers)]);
  return plan;
};

/** Boxes that are stopped by order. */
const drains: Kind = (draw) => {
  const plan = base(draw, "drains", draw.of([topologies.pairOnly, topologies.trioOnly]));
  plan.watchers = 2;
  plan.faults = faultsOf(draw, plan, [make.drain, ...some(draw, [make.losePeer, make.crash, make.cutWitness])], 250);
  return plan;
};

const weights: readonly (readonly [number, Kind])[] = [
  [14, mixed],
  [14, partition],
  [12, elections],
  [14, members],
  [14, solo],
  [9, locks],
  [5, clocks],
  [6, rules],
  [8, disks],
  [2, modes],
  [2, drains],
];

/** Kinds of every so many seeds, by what is left of the seed: all others are what they were before there were these. */
const every = 20;
const byRest: ReadonlyMap<number, Kind> = new Map([
  [7, late],
  [13, engagements],
  [17, lostQuorum],
]);

export function planOf(seed: number): Plan {
  const draw = new Draw(seededRandom(seed * 2_654_435_761 + 97));
  return { seed, ...(byRest.get(seed % every) ?? draw.weighted(weights))(draw) };
}
