import { beforeEach, describe, expect, test } from "vitest";
import type { Resource } from "../api/kinds.ts";
import type { Action } from "./actions.ts";
import { desiredOf } from "./desired.ts";
import { zonesNeedingDisk } from "./disruptions.ts";
import type { Observed, ObservedWorkload } from "./observed.ts";
import { plan } from "./plan.ts";
import { box, desired, group, inForce, resource, witness, zone } from "./testing/specs.ts";
import { World } from "./testing/world.ts";

const quickstart = [
  box("a"),
  box("b"),
  witness("w"),
  group("main", ["a", "b"], { witness: "w", system: true }),
  zone("root", { mode: "strong_ha", raftGroup: "main" }),
];
const holder = "operator/";

let world: World;
/** What differs from the obedient world. */
let changes: (observed: Observed) => Observed;

beforeEach(() => {
  world = new World();
  changes = (observed) => observed;
  converge(quickstart);
});

function converge(what: Resource[]): void {
  for (let round = 0; round < 50; round++) {
    for (const action of plan(desired(...what), world.observe(), 0)) world.execute(action);
    world.settle();
  }
}

function withPods(pods: Record<string, Partial<ObservedWorkload["pod"]> & { running?: boolean }>) {
  return (observed: Observed): Observed => ({
    ...observed,
    workloads: new Map(
      [...observed.workloads].map(([name, workload]) => {
        const { running = true, ...pod } = pods[name] ?? {};
        return [name, { ...workload, running, pod: { uid: `pod-${name}`, outdated: false, leaving: false, ...pod } }];
      }),
    ),
  });
}

/** Actions of one round other than conditions. */
function deeds(what: Resource[] = quickstart): Action[] {
  return plan(desired(...what), changes(world.observe()), 0).filter((each) => each.type !== "raiseCondition");
}

describe("a changed pod template", () => {
  const outdated = { a: { outdated: true }, b: { outdated: true }, w: { outdated: true } };

  test("takes one box a time, followers first, the leader after it has handed over", () => {
    changes = withPods(outdated);
    expect(deeds()).toEqual([{ type: "acquireDisruption", box: "b" }]);

    changes = (observed) => ({ ...withPods(outdated)(observed), disruption: { box: "b", holder } });
    expect(deeds()).toMatchObject([{ type: "restartPod", box: "b", podUid: "pod-b" }]);

    const left = { a: { outdated: true } };
    changes = (observed) => ({ ...withPods(left)(observed), disruption: { box: "a", holder } });
    const transfers = deeds();
    expect(transfers.map((each) => each.type)).toEqual(["transfer", "transfer"]);
    for (const action of transfers) world.execute(action);
    expect(deeds()).toMatchObject([{ type: "restartPod", box: "a" }]);
  });

  test("keeps its turn until the box has caught up, then gives it back", () => {
    changes = (observed) => ({ ...withPods({ b: { running: false } })(observed), disruption: { box: "b", holder } });
    expect(deeds()).toEqual([]);

    changes = (observed) => ({ ...withPods({})(observed), disruption: { box: "b", holder } });
    expect(deeds()).toEqual([{ type: "releaseDisruption", box: "b" }]);
  });

  test("waits while the other member is behind, the witness is away or the log runs in SOLO", () => {
    for (const [name, change] of [
      ["b", { caughtUp: false }],
      ["w", { active: false }],
    ] as const) {
      changes = (observed) => ({
        ...withPods({ a: { outdated: true } })(observed),
        logs: new Map(
          [...observed.logs].map(([id, log]) => [
            id,
            {
              ...log,
              members: new Map([...log.members].map(([at, m]) => [at, at === name ? { ...m, ...change } : m])),
            },
          ]),
        ),
      });
      expect(deeds()).toEqual([]);
    }
    changes = (observed) => ({
      ...withPods({ b: { outdated: true } })(observed),
      logs: new Map([...observed.logs].map(([id, log]) => [id, { ...log, witnessMode: "SOLO" }])),
    });
    expect(deeds()).toEqual([]);
  });

  test("deletes a pod that is not ready without ceremony: a bad image is left by naming a good one", () => {
    changes = withPods({ b: { outdated: true, running: false } });

    expect(deeds()).toMatchObject([{ type: "restartPod", box: "b" }]);
  });

  test("waits for another's turn to end", () => {
    changes = (observed) => ({
      ...withPods(outdated)(observed),
      disruption: { box: "b", holder: "operator/elsewhere" },
    });

    expect(deeds()).toEqual([]);
  });
});

test("a cordoned node may evict its box once it leads nothing and the others can do without it", () => {
  changes = withPods({ a: { leaving: true } });
  expect(deeds()).toEqual([{ type: "acquireDisruption", box: "a" }]);

  changes = (observed) => ({ ...withPods({ a: { leaving: true } })(observed), disruption: { box: "a", holder } });
  for (const action of deeds()) world.execute(action);
  expect(deeds()).toEqual([{ type: "allowEviction", box: "a" }]);
});

describe("sleep", () => {
  const asleep = (...names: string[]) =>
    quickstart.map((each) =>
      each.kind === "Box" && names.includes(each.metadata.name)
        ? resource("Box", each.metadata.name, each.spec, { "federation.nexus.io/hibernate": "true" })
        : each,
    );

  test("of one box waits for its turn and for the others to be a majority", () => {
    expect(deeds(asleep("b"))).toEqual([{ type: "acquireDisruption", box: "b" }]);
    changes = (observed) => ({ ...observed, disruption: { box: "b", holder } });
    expect(deeds(asleep("b"))).toEqual([{ type: "stopWorkload", box: "b" }]);
  });

  test("of all boxes is done at once, and stays when nothing answers any more", () => {
    const all = asleep("a", "b", "w");
    expect(deeds(all).map((each) => each.type)).toEqual(["stopWorkload", "stopWorkload", "stopWorkload"]);

    changes = (observed) => ({ ...observed, systemServes: false, boxes: new Map(), logs: new Map() });
    expect(deeds(all).map((each) => each.type)).toEqual(["stopWorkload", "stopWorkload", "stopWorkload"]);
  });
});

test("another cluster's box gets no workload from here", () => {
  const far = box("far", { cluster: "us" });
  const here = desiredOf("fed", [...quickstart, far].map(inForce), "default");

  const made = plan(here, new World().observe(), 0).filter((each) => each.type === "ensureWorkload");

  expect(made.map((each) => "box" in each && each.box)).toEqual(["a", "b", "w"]);
});

test("a lost disk is needed where the log has no leader without it, and a witness's outside PAIR", () => {
  const solo = world.observe();
  const logs = (change: { leader?: string; witnessMode?: string }) =>
    new Map([...solo.logs].map(([zone, log]) => [zone, { ...log, ...change }]));

  const inSolo = { ...solo, logs: logs({ witnessMode: "SOLO" }) };
  expect(zonesNeedingDisk("b", inSolo)).toEqual([]);
  expect(zonesNeedingDisk("w", inSolo)).toEqual(["system", "root"]);
  expect(zonesNeedingDisk("w", solo)).toEqual([]);
  expect(zonesNeedingDisk("a", { ...solo, logs: logs({ leader: "" }) })).toEqual(["system", "root"]);
});
