import fc from "fast-check";
import { expect, test } from "vitest";
import type { Resource } from "../api/kinds.ts";
import type { Desired } from "./desired.ts";
import { plan } from "./plan.ts";
import { ruleText } from "./rules-plan.ts";
import { box, desired, group, witness, zone } from "./testing/specs.ts";
import { World } from "./testing/world.ts";

const names = ["a", "b", "c", "d", "e"];
const fleet = [...names.map((name) => box(name)), witness("w"), witness("v")];

const voters = fc.oneof(
  fc.subarray(names, { minLength: 1, maxLength: 1 }).map((list) => ({ list })),
  fc.record({ list: fc.subarray(names, { minLength: 2, maxLength: 2 }), witness: fc.constantFrom("w", "v") }),
  fc.subarray(names, { minLength: 3, maxLength: 5 }).map((list) => ({ list })),
);
const groupOf = (name: string, system: boolean) =>
  voters.map(({ list, ...more }) => group(name, list.sort(), { ...(more as { witness?: string }), system }));
const zoneOf = (name: string) =>
  fc.oneof(
    fc.constantFrom("g", "h").map((raftGroup) => zone(name, { mode: "strong_ha", raftGroup })),
    fc
      .record({
        mode: fc.constantFrom("strong", "eventual"),
        authorityBox: fc.constantFrom(...names),
        replicas: fc.subarray(names),
      })
      .map(({ mode, authorityBox, replicas }) =>
        zone(name, { mode, authorityBox, replicas: replicas.filter((each) => each !== authorityBox) }),
      ),
  );
/** Every object is there, so that the last spec says all. The first entry is always a's. */
const spec = fc
  .tuple(groupOf("sys", true), groupOf("g", false), groupOf("h", false), zoneOf("x"), zoneOf("y"))
  .map((resources) => [...fleet, ...resources] as Resource[]);
const first = [...fleet, group("sys", ["a"], { system: true })];

function run(world: World, wanted: Desired, roundsMax: number): boolean {
  for (let round = 0; round < roundsMax; round++) {
    const actions = plan(wanted, world.observe(), 0);
    if (actions.length === 0) return true;
    const disruptive = actions.flatMap((action) => ("zone" in action ? [action.zone] : []));
    expect(new Set(disruptive).size, "one disruptive action a log").toBe(disruptive.length);
    for (const action of actions) world.execute(action);
    world.settle();
  }
  return false;
}

/** What a federation is, without what history leaves behind (numbers, leaders, epochs). */
function stateOf(world: World): unknown {
  return {
    logs: [...world.logs]
      .map(([name, log]) => [name, log.mode, [...log.members].map(([each, member]) => `${each}=${member.role}`).sort()])
      .sort(),
    rules: world.rules.map((rule) => ruleText({ ...rule, log: 0 })).sort(),
    workloads: [...world.workloads.keys()].sort(),
  };
}

test("any sequence of specs, each interrupted anywhere, ends where a fresh install of the last one ends", () => {
  const sequences = fc.array(fc.record({ resources: spec, rounds: fc.nat(12) }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(sequences, spec, (steps, last) => {
      const world = new World();
      run(world, desired(...first), 30);
      for (const { resources, rounds } of steps) run(world, desired(...resources), rounds);
      expect(run(world, desired(...last), 100)).toBe(true);

      const fresh = new World();
      run(fresh, desired(...first), 30);
      expect(run(fresh, desired(...last), 100)).toBe(true);

      expect(stateOf(world)).toEqual(stateOf(fresh));
      expect([...world.refused, ...fresh.refused]).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

test("the plan of a converged world is empty, whatever the order of the resources", () => {
  fc.assert(
    fc.property(spec, fc.nat(), (resources, turn) => {
      const world = new World();
      run(world, desired(...first), 30);
      run(world, desired(...resources), 100);
      const at = turn % resources.length;

      expect(plan(desired(...resources.slice(at), ...resources.slice(0, at)), world.observe(), 0)).toEqual([]);
    }),
    { numRuns: 50 },
  );
});

test("the planner is total: any subset of resources gives a plan", () => {
  fc.assert(
    fc.property(
      spec.chain((all) => fc.subarray(all)),
      spec,
      (some, before) => {
        const world = new World();
        run(world, desired(...first), 30);
        run(world, desired(...before), 7);

        expect(() => plan(desired(...some), world.observe(), 0)).not.toThrow();
      },
    ),
    { numRuns: 100 },
  );
});
