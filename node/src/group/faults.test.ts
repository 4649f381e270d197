import { describe, expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import type { Outcome } from "./api.ts";
import { type Box, Cluster, putCommand } from "./testing/cluster.ts";

/** Every box that an answer names has the entry on its disk at that moment. */
function isTruthful(cluster: Cluster, { index, boxes, copies }: Extract<Outcome, { kind: "applied" }>): boolean {
  const durable = boxes.every((name) => {
    const self = cluster
      .box(name)
      .view()
      ?.progress.find((member) => member.box === name);
    return !cluster.box(name).up || (self?.match ?? 0) >= index;
  });
  return durable && boxes.length === copies && copies > 0;
}

/** Crashes, cuts and heals at random, while writes go on; then everything acknowledged must be on every member. */
async function torment(seed: number, names: string[]): Promise<void> {
  const cluster = new Cluster({ seed, host: { compactEntries: 40, keepEntries: 5 }, diskMs: 1 });
  const random = seededRandom(seed * 7919);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.unit() * list.length)] as T;
  await cluster.start(...names);
  await cluster.bootstrap(names);
  await cluster.elected();
  const full = names.map((name) => cluster.box(name)).filter((box) => !box.isWitness);
  const acknowledged = new Map<string, string>();
  const overstated: string[] = [];
  const leaders = new Map<number, string>();
  let writes = 0;

  const watch = () => {
    for (const box of full) {
      const view = box.view();
      if (!view?.isLeader) continue;
      const known = leaders.get(view.term);
      expect(known === undefined || known === box.name, `one leader in term ${view.term}`).toBe(true);
      leaders.set(view.term, box.name);
    }
  };
  const write = (box: Box) => {
    const path = `/f${writes}`;
    const content = `${writes++}`;
    box.propose(putCommand(path, content), 1, 3_000).then((outcome) => {
      if (outcome.kind !== "applied") return;
      if (!isTruthful(cluster, outcome)) overstated.push(path);
      acknowledged.set(path, content);
    });
  };
  for (let step = 0; step < 60; step++) {
    for (const box of full) if (box.up && box.view()?.isLeader) for (let i = 0; i < 5; i++) write(box);
    for (let i = 0; i < 10; i++) {
      await cluster.run(random.unit() * 40);
      watch();
    }
    const down = [...cluster.boxes.values()].filter((box) => !box.up);
    const action = random.unit();
    if (down.length > 0 && action < 0.6) await pick(down).start();
    else if (down.length === 0 && action < 0.4) pick([...cluster.boxes.values()]).crash();
    else if (action < 0.8) cluster.hub.cut(pick(names), pick(names));
    else cluster.hub.healAll();
  }

  cluster.hub.healAll();
  for (const box of cluster.boxes.values()) if (!box.up) await box.start();
  await cluster.put("/end", "1");
  await cluster.until(() => full.every((box) => box.content("/end") === "1"), 20_000, "everybody");
  expect(overstated).toEqual([]);
  expect(acknowledged.size).toBeGreaterThan(20);
  for (const box of full) {
    expect(box.fatal).toBeUndefined();
    for (const [path, content] of acknowledged) expect(box.content(path), `${path} on ${box.name}`).toBe(content);
  }
}

describe("crashes and cuts at random lose nothing acknowledged", () => {
  const seeds = Number(process.env["NEXUS_GROUP_SEEDS"] ?? 4);
  for (let seed = 1; seed <= seeds; seed++) {
    test(`three members, seed ${seed}`, () => torment(seed, ["a", "b", "c"]));
    test(`two members and a witness, seed ${seed}`, () => torment(seed, ["a", "b", "w1"]));
  }
});
