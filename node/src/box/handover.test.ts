import { expect, test } from "vitest";
import { anyone, codeOf, Federation } from "./testing/federation.ts";

const trio = ["a", "b", "w"];

test("a deeper rule takes over an empty subtree, and the zone that ceded it refuses it from then on", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  await federation.write("a", "/other.txt", "stays");

  await federation.zone({ zone: "deep", pattern: "/deep/**", mode: "strong", copiesDeclared: 1 }, ["c"]);
  const written = await federation.write("a", "/deep/x", "new");

  expect(written.receipt?.zone).toBe("deep");
  expect(await federation.read("b", "/deep/x")).toBe("new");
  expect(await federation.read("b", "/zone:all/deep/x")).toBe("STALE_EPOCH");
  expect(await federation.read("c", "/other.txt")).toBe("stays");
});

test("a hand-over of a subtree that holds files is refused with their number and the rule to blame, and nothing changes", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  await federation.write("a", "/deep/x", "here");

  const { admin } = federation.node("a").box;
  const log = await federation.log("deep", ["c"], "a");
  const map = admin.status({ zones: false }, anyone).map;
  const rules = [...(map?.rules ?? []), federation.rule({ zone: "deep", pattern: "/deep/*" }, log)];
  const refused = admin.installRules({ expectedEpoch: map?.epoch ?? 0, rules }, anyone);
  expect(await federation.cluster.settle(refused, 60_000)).toMatchObject({
    failure: {
      code: "NOT_EMPTY",
      message: expect.stringContaining("1 file and 0 locks lie below"),
      details: { rule: "deep" },
    },
  });

  expect(await federation.read("b", "/deep/x")).toBe("here");
  expect(codeOf(await federation.write("b", "/deep/y", "still"))).toBe("");
  expect(federation.node("a").box.admin.status({ zones: false }, anyone).pending).toBeUndefined();
  await federation.zone({ zone: "other", pattern: "/other/**", mode: "strong", copiesDeclared: 1 }, ["c"]);
  // One epoch was the attempt's, one its giving back.
  expect(federation.node("a").directory.epoch).toBe((map?.epoch ?? 0) + 3);
});

test("a hand-over whose driver dies goes on under the next leader of the system zone", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  const { admin } = federation.node("c").box;
  const log = await federation.log("deep", ["c"], "c");
  const map = admin.status({ zones: false }, anyone).map;
  const rule = federation.rule({ zone: "deep", pattern: "/deep/**", mode: "strong", copiesDeclared: 1 }, log);
  const rules = [...(map?.rules ?? []), { ...rule, members: ["c"] }];
  const leader = federation.cluster.leader(1)?.name ?? "";
  const follower = leader === "a" ? "b" : "a";

  void admin.installRules({ expectedEpoch: map?.epoch ?? 0, rules }, anyone);
  const pending = () => federation.node(follower).box.admin.status({ zones: false }, anyone).pending !== undefined;
  await federation.cluster.until(pending, 5_000, "the pending map");
  federation.crash(leader);

  const active = () => federation.node("c").directory.patternOf("deep") !== undefined;
  await federation.cluster.until(active, 20_000, "the new map");
  expect(codeOf(await federation.write("c", "/deep/x", "new"))).toBe("");
});

test("what a rule bound keeps its data when the rule goes and has it again when it comes back", async () => {
  const federation = await Federation.start(trio, { system: 3 });
  await federation.zone({ zone: "docs", pattern: "/docs/**" }, trio);
  await federation.write("a", "/docs/x", "kept");
  const { admin } = federation.node("a").box;
  const rules = () => admin.status({ zones: false }, anyone).map?.rules ?? [];
  const before = rules();
  const install = (next: typeof before) =>
    federation.admin(admin.installRules({ expectedEpoch: federation.node("a").directory.epoch, rules: next }, anyone));

  await install([]);
  expect(await federation.read("a", "/docs/x")).toBe("NO_ZONE");
  await install(before);

  expect(await federation.read("a", "/docs/x")).toBe("kept");
});

test("a retry whose path another zone has gained is refused unexecuted, and is told its answer in the zone it went to", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  const rule = federation.node("a").directory.zone("all");
  const pinLog = "code" in rule ? 0 : rule.log;
  const retry = { requestId: Buffer.alloc(16, 9), pinLog, pinGeneration: 1 };
  expect(codeOf(await federation.write("a", "/deep/x", "once", retry))).toBe("");
  expect(codeOf(await federation.write("b", "/deep/x", "once", retry))).toBe("");
  await federation.ask("a", removeOp("/deep/x"));
  await federation.zone({ zone: "deep", pattern: "/deep/**", mode: "strong", copiesDeclared: 1 }, ["c"]);

  for (const box of ["a", "b", "c"]) {
    expect(codeOf(await federation.write(box, "/deep/x", "once", retry))).toBe("GENERATION_CHANGED");
  }
  expect(await federation.read("c", "/deep/x")).toBe("NOT_FOUND");
  expect(codeOf(await federation.write("a", "/deep/x", "new"))).toBe("");
});

test("a request pinned to another generation of its log is refused unexecuted by whichever box it comes to", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  const rule = federation.node("a").directory.zone("all");
  const pinLog = "code" in rule ? 0 : rule.log;

  for (const box of ["a", "b", "c"]) {
    const refused = await federation.write(box, "/x", "old", { pinLog, pinGeneration: 7 });
    expect(codeOf(refused)).toBe("GENERATION_CHANGED");
  }
  expect(await federation.read("c", "/x")).toBe("NOT_FOUND");
});

function removeOp(path: string) {
  const op = { $case: "delete" as const, value: { path, recursive: false, condition: undefined } };
  return { $case: "mutate" as const, value: { op } };
}
