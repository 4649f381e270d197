import { expect, test } from "vitest";
import { codeOf, Federation, writeOp } from "./testing/federation.ts";

const names = ["a", "b", "c"];
const anyAge = { readPreference: "local", maxStalenessMs: 60_000 };

async function started() {
  const federation = await Federation.start(names, { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**", copiesDeclared: 3 }, names);
  expect(codeOf(await federation.write("a", "/x", "before"))).toBe("");
  const log =
    federation.cluster
      .box("a")
      .host.logs()
      .find((one) => one !== 1) ?? 0;
  return { federation, cluster: federation.cluster, log, leader: await federation.cluster.elected(log) };
}

test("a leader whose disk hangs gives way within elections, and its box goes on answering", async () => {
  const { federation, cluster, log, leader } = await started();
  leader.disk.stall();
  const stuck = federation.send(leader.name, writeOp("/x", "during"), { timeoutMs: 5_000 });

  await cluster.until(() => ![undefined, leader].includes(cluster.leader(log)), 2_000, "another leader");
  const startedMs = cluster.clock.now();
  const { box } = federation.node(leader.name);
  // What it holds may be of any age now, which is what it says, after the time that it gives a probe.
  expect(["before", "STALENESS_EXCEEDED"]).toContain(await federation.read(leader.name, "/x", anyAge));
  expect(box.health().ready).toBe(true);
  expect(cluster.clock.now() - startedMs).toBeLessThanOrEqual(1_000);
  expect(leader.view(log)?.isLeader).toBe(false);
  await cluster.run(2_000);
  leader.disk.resume();

  expect(codeOf(await cluster.settle(stuck))).toBe("");
  expect(await federation.read("a", "/x")).toBe("during");
});

test("a follower whose disk hangs serves what it has, as old as it is known to be, and its zone takes writes", async () => {
  const { federation, cluster, log, leader } = await started();
  const follower = names.find((name) => name !== leader.name) ?? "";
  await federation.read(follower, "/x", anyAge);
  await cluster.run(500);
  expect(await federation.read(follower, "/x", anyAge)).toBe("before");
  cluster.box(follower).disk.stall();

  expect(codeOf(await federation.write(leader.name, "/x", "during"))).toBe("");
  await cluster.run(2_000);

  expect(await federation.read(follower, "/x", anyAge)).toBe("before");
  expect(await federation.read(follower, "/x", { ...anyAge, maxStalenessMs: 500 })).toBe("STALENESS_EXCEEDED");
  expect(cluster.leader(log)).toBe(leader);
  cluster.box(follower).disk.resume();
  await cluster.run(500);
  expect(await federation.read(follower, "/x", anyAge)).toBe("during");
});
