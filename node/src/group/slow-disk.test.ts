import { expect, test } from "vitest";
import { type Box, Cluster, putCommand } from "./testing/cluster.ts";

const names = ["a", "b", "w"];
const logs = [1, 2, 3, 4];

/** Changes go to every log, again and again, whatever became of the earlier ones. */
async function underLoad(cluster: Cluster, leader: Box, ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 10) {
    for (const log of logs) void leader.propose(putCommand(`/x${at}`, "1"), log);
    await cluster.run(10);
  }
}

async function started(): Promise<{ cluster: Cluster; leader: Box }> {
  const cluster = new Cluster({ host: { quiesceAfterBeats: 0 } });
  await cluster.start(...names);
  for (const log of logs) await cluster.bootstrap(names, log);
  const leader = cluster.box("a");
  await cluster.until(() => logs.every((log) => leader.view(log)?.isLeader), 5_000, "a leads all");
  return { cluster, leader };
}

function regimes(leader: Box): unknown[] {
  return logs.map((log) => [leader.view(log)?.term, leader.view(log)?.epoch, leader.view(log)?.witnessMode]);
}

test("writes that take almost an election timeout on both members change neither leader nor mode of any group", async () => {
  const { cluster, leader } = await started();
  const before = regimes(leader);

  cluster.settings.diskMs = 145;
  await underLoad(cluster, leader, 5_000);

  expect(regimes(leader)).toEqual(before);
});

test("a member whose disk hangs is silent, so that its groups go on with the witness", async () => {
  const { cluster, leader } = await started();

  cluster.box("b").disk.stall();
  await underLoad(cluster, leader, 600);

  for (const log of logs) expect(leader.view(log)).toMatchObject({ isLeader: true, witnessMode: "SOLO" });
  for (const log of logs)
    expect(await cluster.settle(leader.propose(putCommand("/y", "2"), log), 100)).toMatchObject({ kind: "applied" });
});
