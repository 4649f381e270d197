import { expect, test } from "vitest";
import { must } from "../base/assert.ts";
import { Cluster } from "./testing/cluster.ts";

test("the state of a removed log does not come back with a power cut, to be taken for that of a later replica", async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const cluster = new Cluster({ seed });
    await cluster.start("a");
    await cluster.bootstrap(["a"]);
    await cluster.put("/x", "1");
    await cluster.run(1_500);
    const box = cluster.box("a");

    await cluster.settle(box.host.remove(1));
    box.crash();
    await box.start();

    expect(box.host.has(1)).toBe(false);
    expect(box.states.database.states()).toEqual([]);
  }
});

test("the record of a log that is destroyed is forgotten at its witness, whose room it would take for ever", async () => {
  const cluster = new Cluster();
  await cluster.start("a", "b", "w");
  await cluster.bootstrap(["a", "b", "w"]);
  const witness = must(cluster.box("w").witness, "witness");
  expect(witness.records).toBe(1);

  await cluster.settle(cluster.box("a").host.remove(1));
  await cluster.settle(cluster.box("b").host.remove(1));

  await cluster.until(() => witness.records === 0, 5_000, "the witness forgets");
});
