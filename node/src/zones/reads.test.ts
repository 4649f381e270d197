import { expect, test } from "vitest";
import { Federation } from "../box/testing/federation.ts";

test("what a follower shows while it catches up is never newer than its receipt says", async () => {
  const federation = await Federation.start(["a", "b", "c"], { system: 3, host: { compactEntries: 1_000 } });
  const { cluster } = federation;
  await federation.zone({ zone: "all", pattern: "/**", mode: "strong" }, ["a", "b", "c"]);
  await federation.write("a", "/x", "0");
  const log = federation.node("a").directory.match("/x")?.rule.log ?? 0;
  const leader = cluster.leader(log)?.name ?? "";
  const late = ["a", "b", "c"].find((name) => name !== leader && name !== cluster.leader(1)?.name) ?? "";
  const options = { maxStalenessMs: 60_000, readPreference: "local", timeoutMs: 2_000 };
  const known = () => federation.read(late, "/x", options);
  expect(await known()).toBe("0");
  const others = ["a", "b", "c"].filter((name) => name !== late);
  cluster.hub.part(late, others);
  for (let i = 1; i <= 200; i++) await federation.write(leader, "/x", `${i}`);
  expect(await known()).toBe("0");

  let [fresh, reads, looking] = [0, 0, false];
  const newer: string[] = [];
  const look = () => {
    if (fresh > 0 || looking) return;
    looking = true;
    void federation.send(late, { $case: "read", value: { path: "/x", infoOnly: true } }, options).then((answer) => {
      const { result, receipt } = answer;
      if (result?.$case !== "read" || receipt === undefined) return;
      const revision = result.value.info?.revision ?? 0;
      reads++;
      if (revision > receipt.index) newer.push(`${revision} at ${receipt.index}`);
      if (revision >= (cluster.leader(log)?.view(log)?.commit ?? 0)) fresh = revision;
    });
    looking = false;
  };
  // No time passes between the slices in which entries are applied, but everything else may get its turn.
  const after = cluster.clock.after.bind(cluster.clock);
  cluster.clock.after = (delayMs, run) => {
    const looked = () => {
      run();
      look();
    };
    return after(delayMs, looking ? run : looked);
  };
  cluster.hub.healAll();
  await cluster.until(() => fresh > 0, 20_000, "the late box to catch up");

  expect(reads).toBeGreaterThan(0);
  expect(newer).toEqual([]);
});
