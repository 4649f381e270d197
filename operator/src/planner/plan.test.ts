import { expect, test } from "vitest";
import type { Action } from "./actions.ts";
import { type Desired, desiredOf } from "./desired.ts";
import { plan } from "./plan.ts";
import { box, desired, group, inForce, witness, zone } from "./testing/specs.ts";
import { World } from "./testing/world.ts";

const fleet = [box("a"), box("b"), box("c"), witness("w")];
const quickstart = [...fleet, group("main", ["a", "b"], { witness: "w", system: true })];
const root = (spec: object) => zone("root", spec);

/** Runs until nothing is left to do; the deeds in order, conditions left out. */
function converge(world: World, wanted: Desired, nowMs = 0): Action[] {
  const done: Action[] = [];
  for (let round = 0; round < 60; round++) {
    const actions = plan(wanted, world.observe(), nowMs);
    if (actions.length === 0) return done;
    for (const action of actions) world.execute(action);
    world.settle();
    done.push(...actions.filter((action) => action.type !== "raiseCondition"));
  }
  throw new Error(`no end: ${JSON.stringify(plan(wanted, world.observe(), nowMs))}`);
}

const kinds = (actions: Action[]) => actions.map((action) => action.type);
const conditionOf = (world: World, object: string, type: string) =>
  world.conditions.get(object)?.find((each) => each.type === type);

test("a fresh federation starts its boxes, bootstraps once, registers, creates the log and installs the rule", () => {
  const world = new World();

  const done = converge(world, desired(...quickstart, root({ mode: "strong_ha", raftGroup: "main" })));

  expect(world.refused).toEqual([]);
  expect([...new Set(kinds(done))]).toEqual([
    "ensureWorkload",
    "bootstrap",
    "registerBox",
    "ensureZone",
    "installRules",
  ]);
  expect(kinds(done).filter((type) => type === "bootstrap")).toHaveLength(1);
  expect(world.rules).toMatchObject([{ zone: "root", mode: "strong_ha", copiesDeclared: 2 }]);
  expect(conditionOf(world, "ConsensusZone/root", "Ready")).toMatchObject({ status: "True", reason: "Installed" });
});

test("strengthening grows the members before it installs the mode", () => {
  const world = new World();
  converge(world, desired(...quickstart, root({ mode: "strong", authorityBox: "a" })));

  const done = converge(world, desired(...quickstart, root({ mode: "strong_ha", raftGroup: "main" })));

  expect(world.refused).toEqual([]);
  expect(kinds(done)).toEqual(["proposeMembership", "installRules"]);
});

test("weakening installs the mode before it shrinks the members", () => {
  const world = new World();
  converge(world, desired(...quickstart, root({ mode: "strong_ha", raftGroup: "main" })));

  const done = converge(world, desired(...quickstart, root({ mode: "eventual", authorityBox: "a" })));

  expect(world.refused).toEqual([]);
  expect(kinds(done)).toEqual(["installRules", "proposeMembership"]);
});

test("members are declared whole and once; the leader takes the steps", () => {
  const world = new World();
  const before = group("g", ["a", "b"], { witness: "w" });
  const after = group("g", ["c", "d"], { witness: "w" });
  const root3 = root({ mode: "strong_ha", raftGroup: "g" });
  converge(world, desired(...quickstart, box("d"), before, root3));

  const done = converge(world, desired(...quickstart, box("d"), after, root3));

  expect(world.refused).toEqual([]);
  expect(done).toMatchObject([
    { type: "proposeMembership", zone: "root", revision: 1, members: [{ box: "c" }, { box: "d" }, { box: "w" }] },
  ]);
});

test("a declaration on its way is replaced when the wish changes, back included", () => {
  const world = new World();
  converge(world, desired(...quickstart, root({ mode: "strong", authorityBox: "a" })));
  const wider = plan(
    desired(...quickstart, root({ mode: "strong", authorityBox: "a", replicas: ["b"] })),
    world.observe(),
    0,
  );
  const widen = wider.find((action) => action.type === "proposeMembership")!;
  world.logs.get("root")!.hash = widen.hash;
  world.logs.get("root")!.revision = widen.revision;

  expect(converge(world, desired(...quickstart, root({ mode: "strong", authorityBox: "a" })))).toMatchObject([
    { type: "proposeMembership", revision: 2, members: [{ box: "a", role: "voter" }] },
  ]);
});

test("a box with an empty disk under its name is a new member", () => {
  const world = new World();
  const wanted = desired(...quickstart, root({ mode: "strong_ha", raftGroup: "main" }));
  converge(world, wanted);
  world.disks.set("b", 1);

  const done = converge(world, wanted);

  expect(kinds(done)).toEqual(["registerBox", "proposeMembership", "proposeMembership"]);
  expect(world.logs.get("root")!.members.get("b")!.incarnation).toBe("b-1");
});

test("another disk is not taken in while a log cannot go on without the former one", () => {
  const world = new World();
  const wanted = desired(...quickstart, root({ mode: "strong_ha", raftGroup: "main" }));
  converge(world, wanted);
  world.disks.set("b", 1);
  world.logs.get("root")!.leader = "";

  const actions = plan(wanted, world.observe(), 0);

  expect(kinds(actions)).not.toContain("registerBox");
  for (const action of actions) world.execute(action);
  expect(conditionOf(world, "Box/b", "Ready")).toMatchObject({
    status: "False",
    message: expect.stringContaining("root cannot go on without the former one"),
  });
});

test("what a declaration waits for stands in the condition", () => {
  const world = new World();
  converge(world, desired(...quickstart, root({ mode: "strong", authorityBox: "a" })));
  const wider = desired(...quickstart, root({ mode: "strong", authorityBox: "a", replicas: ["b"] }));

  for (let round = 0; round < 2; round++) for (const action of plan(wider, world.observe(), 0)) world.execute(action);

  expect(conditionOf(world, "ConsensusZone/root", "Ready")).toMatchObject({
    message: "Its members are changing: replica 4 has not caught up yet.",
  });
});

test("absent objects are left alone", () => {
  const world = new World();
  converge(world, desired(...quickstart, root({ mode: "strong_ha", raftGroup: "main" })));

  expect(converge(world, desired(group("main", ["a", "b"], { witness: "w", system: true })))).toEqual([]);
  expect(world.rules).toHaveLength(1);
});

test("a retired zone loses its rule, keeps its data for its retention, and can come back before", () => {
  const world = new World();
  const active = root({ mode: "strong", authorityBox: "a", retention: "1h" });
  converge(world, desired(...quickstart, active));
  const retired = desiredOf("test", [...quickstart.map(inForce), { resource: active, endedAtMs: 1000, deleted: true }]);

  expect(kinds(converge(world, retired, 2000))).toEqual(["installRules"]);
  expect(world.logs.has("root")).toBe(true);
  expect(conditionOf(world, "ConsensusZone/root", "Ready")?.message).toContain("its data is kept on a until");
  expect(kinds(converge(world, desired(...quickstart, active), 3000))).toEqual(["installRules"]);
  converge(world, retired, 4000);
  expect(kinds(converge(world, retired, 3_602_000))).toEqual(["destroyZone"]);
});

test("a deleted box runs until no member list names it", () => {
  const world = new World();
  const three = group("main", ["a", "b", "c"], { system: true });
  converge(world, desired(...fleet, three));
  const gone = { resource: box("c"), endedAtMs: 1, deleted: true };
  const others = [box("a"), box("b"), witness("w")].map(inForce);

  converge(world, desiredOf("test", [...others, gone, inForce(three)]));
  expect(world.workloads.has("c")).toBe(true);
  expect(conditionOf(world, "RaftGroup/main", "Stalled")).toMatchObject({ status: "True", reason: "BoxDeleted" });
  expect(conditionOf(world, "Box/c", "Ready")?.message).toBe(
    "Deleted; it stays until nothing names it (now: RaftGroup main).",
  );

  const done = converge(
    world,
    desiredOf("test", [...others, gone, inForce(group("main", ["a", "b"], { witness: "w", system: true }))]),
  );
  expect(kinds(done)).toEqual(["proposeMembership", "removeWorkload", "removeBox"]);
  expect(world.refused).toEqual([]);
});

test("a box that is deleted together with the zone that it alone holds stays until the zone's rule is out", () => {
  const world = new World();
  const own = zone("own", { mode: "strong", authorityBox: "c" });
  converge(world, desired(...quickstart, box("c"), own));
  const gone = [box("c"), own].map((resource) => ({ resource, endedAtMs: 1, deleted: true }));

  const done = converge(world, desiredOf("test", [...quickstart.map(inForce), ...gone]));

  expect(kinds(done)).toEqual(["installRules", "removeWorkload"]);
});

test("a federation whose data is gone is never started anew", () => {
  const world = new World();
  world.known = "0f";

  const done = converge(world, desired(...quickstart));

  expect(kinds(done)).not.toContain("bootstrap");
  expect(conditionOf(world, "Federation/federation", "Stalled")).toMatchObject({ status: "True", reason: "DataLost" });
});

test("a draining box hands over what it leads", () => {
  const world = new World();
  const wanted = [...quickstart, root({ mode: "strong_ha", raftGroup: "main" })];
  converge(world, desired(...wanted));
  const drained = wanted.map((each) =>
    each.metadata.name === "a"
      ? { ...each, metadata: { ...each.metadata, annotations: { "federation.nexus.io/drain": "true" } } }
      : each,
  );

  const actions = plan(desired(...(drained as typeof wanted)), world.observe(), 0);

  expect(actions.filter((action) => action.type !== "raiseCondition")).toEqual([
    { type: "setDrain", box: "a", on: true },
    { type: "transfer", zone: "system", from: "a", to: "b" },
    { type: "transfer", zone: "root", from: "a", to: "b" },
  ]);
});

test("a rule that the boxes refuse is left out with its reason, and every other change goes on", () => {
  const world = new World();
  converge(world, desired(...quickstart, root({ mode: "strong", authorityBox: "a" })));
  world.hiding.add("hidden");
  const hidden = zone("hidden", { mode: "strong", authorityBox: "a" });
  const other = zone("other", { mode: "strong", authorityBox: "a" });

  converge(world, desired(...quickstart, root({ mode: "eventual", authorityBox: "a" }), hidden, other));

  expect(world.rules.map((rule) => [rule.zone, rule.mode]).sort()).toEqual([
    ["other", "strong"],
    ["root", "eventual"],
  ]);
  expect(conditionOf(world, "ConsensusZone/hidden", "Stalled")).toMatchObject({
    status: "True",
    reason: "RuleRefused",
  });
  expect(conditionOf(world, "ConsensusZone/root", "Ready")).toMatchObject({ status: "True" });
});

test("a refused rule is asked for again when it is due, and installed once nothing is in its way", () => {
  const world = new World();
  const all = desired(...quickstart, zone("hidden", { mode: "strong", authorityBox: "a" }));
  world.hiding.add("hidden");
  converge(world, all);
  const answer = world.refusedRules.get("hidden")!;

  world.refusedRules.set("hidden", { ...answer, due: true });
  expect(kinds(plan(all, world.observe(), 0))).toEqual(["installRules"]);
  world.hiding.clear();
  converge(world, all);

  expect(world.rules).toMatchObject([{ zone: "hidden" }]);
  expect(conditionOf(world, "ConsensusZone/hidden", "Ready")).toMatchObject({ status: "True" });
});

test("a rule that was refused as it was is not refused as it is now", () => {
  const world = new World();
  world.hiding.add("x");
  converge(world, desired(...quickstart, zone("x", { mode: "strong", authorityBox: "a" })));
  world.hiding.clear();

  converge(world, desired(...quickstart, zone("x", { mode: "eventual", authorityBox: "a" })));

  expect(world.rules).toMatchObject([{ zone: "x", mode: "eventual" }]);
});

test("a deleted box that nothing names is taken out of the federation once its process is gone, and may come back", () => {
  const world = new World();
  const root1 = root({ mode: "strong", authorityBox: "a" });
  converge(world, desired(...quickstart, root1));
  const gone = fleet.filter(({ metadata }) => metadata.name !== "c").map(inForce);
  const others = [...quickstart.slice(fleet.length), root1].map(inForce);
  const deleted = { resource: box("c"), endedAtMs: 1, deleted: true };

  expect(kinds(converge(world, desiredOf("test", [...gone, deleted, ...others])))).toEqual([
    "removeWorkload",
    "removeBox",
  ]);
  expect(world.refused).toEqual([]);
  expect(conditionOf(world, "Box/c", "Ready")?.message).toBe("Deleted; it is being taken out of the federation.");
  expect(kinds(converge(world, desired(...quickstart, root1)))).toEqual(["ensureWorkload", "registerBox"]);
});
