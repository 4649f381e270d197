import { describe, expect, test } from "vitest";
import { must } from "../base/assert.ts";
import { Cluster } from "./testing/cluster.ts";

/** A leader whose event loop hangs for `blockMs`, and who leads after it when all loops were `lateMs` late before. */
async function hang(blockMs: number, lateMs: number): Promise<{ cluster: Cluster; before: string; after: string }> {
  const cluster = new Cluster();
  const names = ["a", "b", "c"];
  await cluster.start(...names);
  await cluster.bootstrap(names);
  const leader = await cluster.elected();
  await cluster.put("/x", "1");
  const describe = () => {
    const view = must(cluster.leader()?.view(), "a leader");
    return `${view.leaderBox} in term ${view.term}`;
  };
  const before = describe();
  for (const box of cluster.boxes.values()) box.loopDelayMs = lateMs;

  leader.block();
  await cluster.run(blockMs);
  leader.unblock();
  await cluster.run(300);

  return { cluster, before, after: describe() };
}

describe("a leader that hangs for 320 ms", () => {
  test("is replaced by boxes whose own loops were on time", async () => {
    const { before, after } = await hang(320, 0);

    expect(after).not.toBe(before);
  });

  test("stays when the loops here were as late lately", async () => {
    const { cluster, before, after } = await hang(320, 400);

    expect(after).toBe(before);
    await cluster.put("/y", "2");
  });
});

test("a loop that says it was minutes late does not keep a dead leader for longer than three election time-outs more", async () => {
  const { before, after } = await hang(1_000, 120_000);

  expect(after).not.toBe(before);
});
