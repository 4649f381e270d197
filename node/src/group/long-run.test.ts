import { expect, test } from "vitest";
import { Cluster, putCommand } from "./testing/cluster.ts";

test("200,000 entries leave a log of a few segments behind, and a restart starts from it", async () => {
  const cluster = new Cluster({ host: { compactEntries: 10_000, keepEntries: 1_000 } });
  await cluster.start("a");
  await cluster.bootstrap(["a"]);
  const box = await cluster.elected();
  let segmentsMost = 0;

  for (let round = 0; round < 100; round++) {
    const puts = Array.from({ length: 2_000 }, (_, i) =>
      box.propose(putCommand(`/f${i}`, `content of round ${round}`)),
    );
    for (const outcome of await cluster.settle(Promise.all(puts))) expect(outcome.kind).toBe("applied");
    await cluster.run(100);
    segmentsMost = Math.max(segmentsMost, box.disk.files.size);
  }
  await cluster.run(3_000);

  const [stats] = box.host.stats().logs;
  expect(stats?.committed).toBeGreaterThanOrEqual(200_000);
  expect(stats?.entries).toBeLessThan(20_000);
  // 4 MiB each; all of it would be more than twice as many.
  expect(segmentsMost).toBeLessThanOrEqual(6);
  box.crash();
  await box.start();
  await cluster.elected();
  await cluster.put("/after", "the restart");
  expect(box.content("/f1999")).toBe("content of round 99");
}, 300_000);
