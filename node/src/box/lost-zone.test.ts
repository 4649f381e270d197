import { expect, test } from "vitest";
import { anyone, Federation } from "./testing/federation.ts";

const trio = ["a", "b", "w"];

/** A zone on c alone beside the system zone on a, b and w. */
async function withZoneOnC(): Promise<Federation> {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  const alone = { mode: "strong", copiesDeclared: 1 };
  await federation.zone({ zone: "docs", pattern: "/docs/**", ...alone }, ["c"]);
  await federation.write("c", "/docs/x", "lost soon");
  return federation;
}

const status = (federation: Federation) => federation.node("a").box.admin.status({ zones: false }, anyone);
const destroy = (federation: Federation, boxes: string[]) => {
  const abandoned = boxes.map((box) => Buffer.from(federation.cluster.box(box).incarnation));
  return federation.admin(
    federation.node("a").box.admin.destroyZone({ zone: "docs", confirm: "docs", abandoned }, anyone),
  );
};

test("a zone whose only box is gone for good is taken out on a word that names the disk, and its paths go on", async () => {
  const federation = await withZoneOnC();
  federation.crash("c");
  await federation.cluster.run(3_000);

  await expect(destroy(federation, [])).rejects.toThrow(/ZONE_IN_USE/);
  await expect(destroy(federation, ["b"])).rejects.toThrow(/box b answers/);
  await destroy(federation, ["c"]);

  expect(status(federation).map?.rules.map(({ zone }) => zone)).toEqual(["all"]);
  await federation.write("b", "/docs/x", "anew");
  expect(await federation.read("a", "/docs/x")).toBe("anew");
});

test("a zone is not given up while its box answers", async () => {
  const federation = await withZoneOnC();

  await expect(destroy(federation, ["c"])).rejects.toThrow(/box c answers with incarnation/);

  expect(status(federation).map?.rules).toHaveLength(2);
  expect(await federation.read("a", "/docs/x")).toBe("lost soon");
});

test("a map that waits for the lost zone's log is brought to its end", async () => {
  const federation = await withZoneOnC();
  federation.crash("c");
  await federation.cluster.run(3_000);
  const { admin } = federation.node("a").box;
  const { map } = status(federation);
  const rules = (map?.rules ?? []).filter(({ zone }) => zone === "all");
  const waits = admin.installRules({ expectedEpoch: map?.epoch ?? 0, rules }, anyone);
  await expect(federation.admin(waits)).rejects.toThrow(/stays pending/);
  expect(status(federation).pending).toBeDefined();

  await destroy(federation, ["c"]);

  expect(status(federation).pending).toBeUndefined();
  expect(status(federation).map?.rules.map(({ zone }) => zone)).toEqual(["all"]);
});

test("a box that comes back after all drops its copy and goes on", async () => {
  const federation = await withZoneOnC();
  const log = status(federation).map?.rules.find(({ zone }) => zone === "docs")?.log ?? 0;
  federation.crash("c");
  await federation.cluster.run(3_000);
  await destroy(federation, ["c"]);

  await federation.restart("c");

  await federation.cluster.until(() => federation.cluster.box("c").view(log) === undefined, 30_000, "c drops it");
  await federation.cluster.until(
    () => federation.node("c").directory.patternOf("docs") === undefined,
    10_000,
    "c knows the map",
  );
  await federation.write("c", "/docs/x", "anew");
});
