import { expect, test } from "vitest";
import type { Resource } from "../api/kinds.ts";
import type { Action } from "./actions.ts";
import { plan } from "./plan.ts";
import { box, desired, resource, zone } from "./testing/specs.ts";
import { World } from "./testing/world.ts";

const lost = "0".repeat(31);
const gone = [`${lost}1`, `${lost}2`];
const members = ["a", "b", "c"].map((name) => ({ box: name, role: "Voter" }));
const main = (recovery?: object) =>
  resource("RaftGroup", "main", { members, system: true, bootstrapBox: "a", ...(recovery ? { recovery } : {}) });
const consent = { fromBox: "a", groupUID: "uid-1", abandonedIncarnations: gone, acceptDataLoss: true };
const fleet = [box("a"), box("b"), box("c"), zone("root", { mode: "strong_ha", raftGroup: "main" })];

function deeds(world: World, ...resources: Resource[]): Action[] {
  const actions = plan(desired(...resources), world.observe(), 0);
  for (const action of actions) world.execute(action);
  world.settle();
  return actions.filter((action) => action.type !== "raiseCondition");
}

function started(): World {
  const world = new World();
  while (deeds(world, ...fleet, main()).length > 0);
  for (const log of world.logs.values()) log.leader = "";
  return world;
}
const stalled = (world: World) =>
  world.conditions.get("RaftGroup/main")?.find((each) => each.type === "Stalled" && each.status === "True")?.message;

test("a lost quorum waits for a person", () => {
  const world = started();

  expect(deeds(world, ...fleet, main())).toEqual([]);
});

test("a recovery is executed once, tells what may be lost, and the members come back by themselves", () => {
  const world = started();
  const wish = main({ ...consent, zone: "system", epoch: 1 });

  expect(deeds(world, ...fleet, wish)).toMatchObject([{ type: "recover", on: "a", zone: "system", abandoned: gone }]);
  const next = deeds(world, ...fleet, wish);
  while (deeds(world, ...fleet, wish).length > 0);

  expect(next).toMatchObject([{ type: "proposeMembership", zone: "system" }]);
  expect(world.refused).toEqual([]);
  const told = world.conditions.get("RaftGroup/main")?.find((each) => each.type === "DataLost");
  expect(told).toMatchObject({ status: "True", message: expect.stringContaining("at entry 9") });
});

test("what is declared wrong, or contradicted by what is seen, is refused with a sentence and nothing is done", () => {
  const world = started();
  const refusal = (more: object) => {
    expect(deeds(world, ...fleet, main({ ...consent, zone: "system", epoch: 1, ...more }))).toEqual([]);
    return stalled(world);
  };

  expect(refusal({ zone: "other" })).toContain("zone other is not one of RaftGroup/main, which has system, root");
  expect(refusal({ fromBox: "x" })).toContain("no data box x");
  expect(refusal({ groupUID: "uid-7" })).toContain("is uid-1, not uid-7");
  expect(refusal({ abandonedIncarnations: ["b-0"] })).toContain("b-0 is no incarnation");
});
