import { expect, test } from "vitest";
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
