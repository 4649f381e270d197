import type { Draw } from "./draw.ts";
import type { Plan, PlannedFault } from "./plan.ts";
import { membershipsOf } from "./topologies.ts";
import type { Moment } from "./triggers.ts";

/** Draws one fault for a plan. */
export type Maker = (draw: Draw, plan: Omit<Plan, "seed">) => Omit<PlannedFault, "atMs">;

const short = (draw: Draw) => 20 + draw.below(draw.of([100, 300, 800]));
/** Long enough for others to elect a leader. */
const election = (draw: Draw) => draw.between(200, 700);
const isData = (name: string) => !name.startsWith("w");
const datas = (plan: Omit<Plan, "seed">) => plan.topology.boxes.filter(isData);
const witnesses = (plan: Omit<Plan, "seed">) => plan.topology.boxes.filter((name) => !isData(name));
const someBox = (draw: Draw, plan: Omit<Plan, "seed">) =>
  draw.chance(0.4) ? draw.of(["@leader", "@follower"]) : draw.of(plan.topology.boxes);
const at = (draw: Draw, moments: readonly Moment[], mostMs: number) => ({
  moment: draw.of(moments),
  delayMs: draw.chance(0.3) ? 0 : draw.unit() * mostMs,
});

export const crash: Maker = (draw, plan) => ({
  fault: { kind: "crash", box: someBox(draw, plan), death: draw.of(["power", "kill"]), ms: short(draw) },
});
export const power: Maker = (draw, plan) => ({
  fault: { kind: "crash", box: draw.of(datas(plan)), death: "power", ms: 10 + draw.below(60) },
});
export const crashLeader: Maker = (draw) => ({
  fault: { kind: "crash", box: "@leader", death: draw.of(["power", "kill"]), ms: election(draw) },
});
export const blackout: Maker = (draw) => ({
  fault: { kind: "blackout", death: draw.of(["power", "kill"]), ms: short(draw) },
});
export const pause: Maker = (draw, plan) => ({ fault: { kind: "pause", box: someBox(draw, plan), ms: short(draw) } });
export const pauseLeader: Maker = (draw) => ({ fault: { kind: "pause", box: "@leader", ms: election(draw) } });
export const cut: Maker = (draw, plan) => ({
  fault: { kind: "cut", from: someBox(draw, plan), to: someBox(draw, plan), ms: short(draw) },
});
/** Between the leader and one other, one way. */
export const cutLeader: Maker = (draw) => {
  const other = draw.of(["@follower", "@follower", "@witness", "@other"]);
  const [from, to] = draw.chance(0.5) ? ["@leader", other] : [other, "@leader"];
  return { fault: { kind: "cut", from, to, ms: election(draw) } };
};
export const isolate: Maker = (draw, plan) => ({
  fault: {
    kind: "isolate",
    box: someBox(draw, plan),
    but: [],
    way: draw.of(["both", "in", "out"]),
    ms: election(draw),
  },
});
export const isolateLeader: Maker = (draw) => ({
  fault: {
    kind: "isolate",
    box: "@leader",
    but: draw.chance(0.6) ? [] : [draw.of(["@follower", "@witness"])],
    way: draw.of(["both", "both", "in", "out"]),
    ms: election(draw),
  },
});
export const isolateNewLeader: Maker = (draw) => ({
  on: at(draw, ["leads"], 6),
  fault: { kind: "isolate", box: "@leader", but: [], way: draw.of(["both", "both", "out"]), ms: election(draw) },
});
export const crashNewLeader: Maker = (draw) => ({
  on: at(draw, ["leads"], 6),
  fault: { kind: "crash", box: "@leader", death: draw.of(["power", "kill"]), ms: draw.between(20, 400) },
});
export const crashVoter: Maker = (draw) => ({
  on: at(draw, ["vote"], 1),
  fault: { kind: "crash", box: draw.of(["@follower", "@leader", "@other"]), death: "power", ms: 10 + draw.below(40) },
});
export const split: Maker = (draw, plan) => ({
  fault: { kind: "split", side: plan.topology.boxes.filter(() => draw.chance(0.4)), ms: short(draw) },
});
export const losePeer: Maker = (draw) => {
  const ms = draw.between(150, 700);
  if (draw.chance(0.4)) return { fault: { kind: "crash", box: "@follower", death: draw.of(["power", "kill"]), ms } };
  if (draw.chance(0.3)) return { fault: { kind: "pause", box: "@follower", ms } };
  return { fault: { kind: "isolate", box: "@follower", but: draw.of([[], ["@witness"]]), way: "both", ms } };
};
export const cutWitness: Maker = (draw) => {
  const ms = draw.between(100, 600);
  if (draw.chance(0.5)) return { fault: { kind: "cut", from: "@leader", to: "@witness", ms } };
  return { fault: { kind: "isolate", box: "@witness", but: draw.of([[], ["@follower"]]), way: "both", ms } };
};
export const slowWitness: Maker = (draw) => ({
  fault: { kind: "slow", from: "@witness", to: "@leader", byMs: draw.between(30, 600), ms: draw.between(300, 1_500) },
});
export const stall: Maker = (draw, plan) => ({ fault: { kind: "stall", box: someBox(draw, plan), ms: short(draw) } });
export const full: Maker = (draw, plan) => ({ fault: { kind: "full", box: draw.of(datas(plan)), ms: short(draw) } });
export const flip: Maker = (draw, plan) => ({
  fault: { kind: "flip", box: draw.of(["@follower", draw.of(datas(plan))]), place: draw.unit() },
});
export const wipe: Maker = (draw, plan) => ({
  fault: { kind: "wipe", box: draw.of(["@follower", draw.of(datas(plan))]) },
});
export const forget: Maker = (draw, plan) => ({
  fault: { kind: "forget", box: draw.of(witnesses(plan)) ?? "@witness" },
});
export const clock: Maker = (draw, plan) => ({
  fault: {
    kind: "clock",
    box: draw.chance(0.6) ? "@leader" : draw.of(plan.topology.boxes),
    byMs: draw.of([-3_600_000, 3_600_000, 3_600_000, -500, 500, -50_000, 50_000, 700_000]),
  },
});
/** More than the time for which answers are remembered, in steps that a request's age follows. */
export const rush: Maker = (draw) => ({
  fault: { kind: "rush", byMs: 60_000, everyMs: draw.between(12, 25), steps: draw.between(12, 18) },
});
export const loseQuorum: Maker = (draw) => ({
  fault: {
    kind: "loseQuorum",
    box: draw.of(["@leader", "@leader", "@follower"]),
    witness: draw.chance(0.5),
    ghost: draw.chance(0.5),
  },
});
export const drain: Maker = (draw) => ({
  fault: { kind: "drain", box: draw.of(["@leader", "@leader", "@follower"]), ms: draw.between(50, 400) },
});
export const transfer: Maker = (draw, plan) => ({
  fault: { kind: "transfer", zone: draw.of(["main", "main", "system"]), to: draw.of([...datas(plan), ""]) },
});
export const members: Maker = (draw, plan) => {
  const choices = membershipsOf(plan.topology);
  const zone = plan.topology.system.length > 1 && draw.chance(0.25) ? "system" : "main";
  return { fault: { kind: "members", zone, members: draw.of(choices), via: draw.of(datas(plan)) } };
};
const atChange: readonly Moment[] = ["conf", "joint", "joint"];
export const crashAtChange: Maker = (draw) => ({
  on: at(draw, atChange, 5),
  fault: {
    kind: "crash",
    box: draw.of(["@leader", "@leader", "@follower"]),
    death: draw.of(["power", "kill"]),
    ms: draw.between(20, 500),
  },
});
export const isolateAtChange: Maker = (draw) => ({
  on: at(draw, atChange, 5),
  fault: {
    kind: "isolate",
    box: draw.of(["@leader", "@follower"]),
    but: draw.of([[], [], ["@witness"], ["@other"], [draw.of(["c", "w", "wx"])]]),
    way: "both",
    ms: election(draw),
  },
});
/** The leader hears only this witness from the moment on that a joint configuration is in effect. */
export function leaveWith(witness: string): Maker {
  return (draw) => ({
    on: { moment: "joint", delayMs: 0 },
    fault: { kind: "isolate", box: "@leader", but: [witness], way: "both", ms: election(draw) },
  });
}
export const cutAtChange: Maker = (draw) => ({
  on: at(draw, atChange, 5),
  fault: { kind: "cut", from: "@leader", to: draw.of(["@follower", "@witness", "@other"]), ms: election(draw) },
});
export const crashAtEpoch: Maker = (draw) => ({
  on: at(draw, ["epoch", "engage"], 4),
  fault: {
    kind: "crash",
    box: draw.of(["@leader", "@witness", "@follower"]),
    death: draw.of(["power", "kill"]),
    ms: draw.between(20, 400),
  },
});
export const crashAtCede: Maker = (draw) => ({
  on: at(draw, ["cede"], 5),
  fault: { kind: "crash", box: draw.of(["@leader", "@system"]), death: draw.of(["power", "kill"]), ms: short(draw) },
});
export const isolateFromSystem: Maker = (draw) => ({
  fault: { kind: "cut", from: "@system", to: draw.of(["@leader", "@follower"]), ms: election(draw) },
});
export const mode: Maker = (draw, plan) => ({
  fault: { kind: "mode", zone: "main", mode: draw.of(["strong_ha", "strong", "eventual"]), via: draw.of(datas(plan)) },
});
export const rule: Maker = (draw, plan) => ({
  fault: { kind: "rule", add: draw.chance(0.55), via: draw.of(datas(plan)) },
});

/** What the kinds that mix everything draw from. */
export const all: readonly Maker[] = [
  crash,
  power,
  blackout,
  pause,
  cut,
  split,
  isolateLeader,
  isolateNewLeader,
  stall,
  full,
  flip,
  forget,
  wipe,
  clock,
  drain,
  transfer,
  members,
  crashAtChange,
  mode,
  rule,
  losePeer,
];
