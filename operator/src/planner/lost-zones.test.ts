import { expect, test } from "vitest";
import type { Resource } from "../api/kinds.ts";
import type { Action } from "./actions.ts";
import type { Observed } from "./observed.ts";
import { plan } from "./plan.ts";
import { box, desired, group, witness, zone } from "./testing/specs.ts";
import { World } from "./testing/world.ts";

const disk = (n: number) => String(n).padStart(32, "0");
const base = [box("a"), box("b"), box("c"), witness("w"), group("main", ["a", "b"], { witness: "w", system: true })];
const strong = { mode: "strong", authorityBox: "c" };
const retired = (more: object = {}) => zone("docs", { ...strong, state: "Retired", ...more });
const lost = (...abandonedIncarnations: string[]) => retired({ lost: { abandonedIncarnations, acceptDataLoss: true } });
/** Box c and with it the only copy of zone docs is away; `back`: only its log's leader is. */
function seen(world: World, back = false): Observed {
  const observed = world.observe();
  const real = (box: string, incarnation: string) => (box === "c" ? disk(3) : incarnation);
  const boxes = new Map(
    [...observed.boxes].map(([name, each]) => [name, { ...each, incarnation: real(name, each.incarnation) }]),
  );
  if (!back) boxes.delete("c");
  const registered = new Map(
    [...observed.registered].map(([name, r]) => [name, { ...r, incarnation: real(name, r.incarnation) }]),
  );
  const logs = new Map([...observed.logs].filter(([name]) => name !== "docs"));
  const rules = observed.rules.map((rule) => ({ ...rule, members: rule.zone === "docs" ? ["c"] : ["a"] }));
  return { ...observed, boxes, registered, logs, rules };
}

function started(): World {
  const world = new World();
  const fleet = desired(...base, zone("docs", strong));
  for (let actions = plan(fleet, world.observe(), 0); actions.length > 0; actions = plan(fleet, world.observe(), 0)) {
    for (const action of actions) world.execute(action);
    world.settle();
  }
  return world;
}

function deeds(world: World, observed: Observed, ...zones: Resource[]): Action[] {
  const actions = plan(desired(...base, ...zones), observed, 0);
  for (const action of actions) world.execute(action);
  return actions.filter((action) => action.type !== "raiseCondition");
}
const message = (world: World, type = "Ready") =>
  world.conditions.get("ConsensusZone/docs")?.find((each) => each.type === type && each.status !== "Unknown");

test("a retired zone whose log nobody leads keeps its rule, says what a person can do, and stops no other rule", () => {
  const world = started();

  expect(deeds(world, seen(world), retired())).toEqual([]);
  expect(message(world)?.message).toContain("nexus zone destroy docs --confirm docs --lost c");

  const other = zone("more", { mode: "strong", authorityBox: "a" });
  deeds(world, seen(world), retired(), other);
  expect(deeds(world, seen(world), retired(), other)).toMatchObject([
    { type: "installRules", rules: [{ zone: "docs" }, { zone: "more" }] },
  ]);
});

test("a zone that is said to be lost is destroyed with its rule, once", () => {
  const world = started();

  expect(deeds(world, seen(world), lost(disk(3)))).toEqual([
    { type: "destroyZone", zone: "docs", abandoned: [disk(3)] },
  ]);
  expect(deeds(world, seen(world), lost(disk(3)))).toEqual([]);
  expect(world.rules).toEqual([]);
});

test("what contradicts the loss is refused with a sentence and nothing is done", () => {
  const world = started();
  const refusal = (observed: Observed, ...disks: string[]) => {
    expect(deeds(world, observed, lost(...disks))).toEqual([]);
    return message(world, "Stalled")?.message;
  };

  expect(refusal(seen(world), "x")).toContain("x is no incarnation");
  expect(refusal(seen(world), disk(9))).toContain(`c (incarnation ${disk(3)}) has a copy too`);
  expect(refusal(seen(world, true), disk(3))).toContain("box c answers");
  expect(world.rules).toHaveLength(1);
});

test("a zone that is led is retired as ever, whatever is said of it", () => {
  const world = started();

  expect(deeds(world, world.observe(), lost(disk(3)))).toMatchObject([{ type: "installRules", rules: [] }]);
});

test("a zone in force cannot be said to be lost", () => {
  expect(() => zone("docs", { ...strong, lost: { abandonedIncarnations: [disk(3)], acceptDataLoss: true } })).toThrow(
    /only with state: Retired/,
  );
});
