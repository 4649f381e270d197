import { expect, test } from "vitest";
import { systemLog } from "../tree/system-zone.ts";
import { anyone, Federation } from "./testing/federation.ts";

const trio = ["a", "b", "w"];

function leaderOf(federation: Federation, zone: string): string | undefined {
  const name = ["a", "b"].find((box) => {
    const log = federation.node(box).directory.map.rules.find((rule) => rule.zone === zone)?.log ?? 0;
    return federation.cluster.box(box).host.view(log)?.isLeader;
  });
  return name;
}

test("a zone's new leader says nothing to the system zone when its members are known there", async () => {
  const federation = await Federation.start(trio, { system: 3 });
  const { cluster } = federation;
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  await cluster.run(5_000);
  const commit = () => Math.max(...["a", "b"].map((box) => cluster.box(box).host.view(systemLog)?.commit ?? 0));
  const before = commit();
  const first = leaderOf(federation, "all")!;
  const other = first === "a" ? "b" : "a";

  const call = federation.node(first).box.admin.transfer({ zone: "all", box: other }, anyone);
  await federation.admin(call);
  await cluster.until(() => leaderOf(federation, "all") === other, 5_000, "the other leads");
  await federation.write(other, "/file", "x");
  await cluster.run(5_000);

  expect(commit()).toBe(before);
});

test("a box reads the rules again only when one has changed", async () => {
  const federation = await Federation.start(trio, { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  await federation.cluster.run(5_000);
  const { admin } = federation.node("a").box;
  const maps = () => ["a", "b"].map((box) => federation.node(box).directory.map);
  const before = maps();

  for (const release of [false, true]) {
    await federation.admin(admin.disruption({ box: "b", holder: "test", ttlMs: 1_000, release }, anyone));
  }
  await federation.cluster.run(5_000);
  expect(maps().map((map, i) => map === before[i])).toEqual([true, true]);

  await federation.zone({ zone: "more", pattern: "/more/**" }, trio);
  expect(maps().map((map) => map.rules.length)).toEqual([3, 3]);
});
