import { expect, test } from "vitest";
import { Cluster, putCommand } from "./testing/cluster.ts";

test("more than a log segment, gathered while the disk hangs, is written when it goes on", async () => {
  const cluster = new Cluster({ host: { appendsMax: 1 } });
  await cluster.start("a");
  await cluster.bootstrap(["a"]);
  const leader = await cluster.elected();
  leader.disk.stall();
  const content = "x".repeat(1 << 20);
  // Larger than the machine takes, but not than the log does: what counts is that all of them are answered.
  const puts = Array.from({ length: 12 }, (_, i) => leader.propose(putCommand(`/f${i}`, content), 1, 10_000));
  await cluster.run(50);

  leader.disk.resume();
  const outcomes = await cluster.settle(Promise.all(puts));

  expect(leader.fatal).toBeUndefined();
  expect(outcomes.map(({ kind }) => kind)).toEqual(outcomes.map(() => "applied"));
});
