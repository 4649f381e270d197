import { expect, test } from "vitest";
import { anyone, Federation } from "./testing/federation.ts";

const trio = ["a", "b", "w"];

async function withoutRule(federation: Federation, zone: string): Promise<number> {
  const { admin } = federation.node("a").box;
  const map = admin.status({ zones: false }, anyone).map;
  const rules = (map?.rules ?? []).filter((rule) => rule.zone !== zone);
  const log = map?.rules.find((rule) => rule.zone === zone)?.log ?? 0;
  await federation.admin(admin.installRules({ expectedEpoch: map?.epoch ?? 0, rules }, anyone));
  return log;
}

test("a member that was down while its zone was destroyed drops its replica when it is back", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "docs", pattern: "/docs/**" }, ["a", "c", "w"]);
  await federation.write("a", "/docs/x", "gone soon");
  const log = await withoutRule(federation, "docs");
  const holds = (box: string) => federation.cluster.box(box).view(log) !== undefined;
  expect(holds("c")).toBe(true);

  federation.crash("c");
  await federation.cluster.run(1_000);
  const { admin } = federation.node("a").box;
  const destroyed = await federation.admin(admin.destroyZone({ zone: "docs", confirm: "docs", abandoned: [] }, anyone));

  expect(destroyed.detail).toMatch(/box c could not be told/);
  expect(holds("a")).toBe(false);
  await federation.restart("c");
  await federation.cluster.until(() => !holds("c"), 30_000, "box c drops its replica");
});

test("a box that was a member once and kept its copy drops it when the zone is destroyed", async () => {
  const federation = await Federation.start(["a", "b", "c", "w"], { system: 3 });
  await federation.zone({ zone: "docs", pattern: "/docs/**" }, ["a", "b", "c"]);
  await federation.write("a", "/docs/x", "gone soon");
  const { admin } = federation.node("a").box;
  const call = { zone: "docs", revision: 2, hash: "2", members: [federation.declared("a")], expectedConfigIndex: 0 };
  await federation.admin(admin.transfer({ zone: "docs", box: "a" }, anyone));
  await federation.admin(admin.proposeMembership(call, anyone));
  const rule = () => federation.node("a").directory.map.rules.find(({ zone }) => zone === "docs");
  await federation.cluster.until(() => rule()?.members.join() === "a", 20_000, "the map says that a is alone");
  const log = rule()?.log ?? 0;
  await withoutRule(federation, "docs");

  await federation.admin(admin.destroyZone({ zone: "docs", confirm: "docs", abandoned: [] }, anyone));

  for (const box of ["a", "b", "c"]) expect(federation.cluster.box(box).view(log), box).toBeUndefined();
});

test("the number of a destroyed zone is never used again, its name is", async () => {
  const federation = await Federation.start(trio, { system: 3 });
  await federation.zone({ zone: "docs", pattern: "/docs/**" }, trio);
  await federation.write("a", "/docs/x", "old");
  const former = await withoutRule(federation, "docs");
  await federation.admin(
    federation.node("a").box.admin.destroyZone({ zone: "docs", confirm: "docs", abandoned: [] }, anyone),
  );

  await federation.zone({ zone: "docs", pattern: "/docs/**" }, trio);

  const log = federation.node("a").directory.map.rules.find((rule) => rule.zone === "docs")?.log ?? 0;
  expect(log).toBeGreaterThan(former);
  expect(await federation.read("a", "/docs/x")).toBe("NOT_FOUND");
});
