// The runbook of a move executed: a zone with a group, a zone with one authority, and at last everything that two boxes hold
// go to others while clients write, and the former ones are deleted.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { pluginOf } from "./harness/plugin.ts";
import { furtherWrites, underLoad } from "./harness/scenario.ts";
import { worldOf } from "./harness/world.ts";

const context = inject("cluster");
const namespace = "move";
const runbook = readFileSync(resolve(import.meta.dirname, "../../docs/runbooks/move-a-zone.md"), "utf8");
const apiVersion = "federation.nexus.io/v1alpha1";

describe.skipIf(context === undefined)("a zone that moves to other boxes", () => {
  const world = worldOf(context, namespace);
  const { shell, nexus } = pluginOf(context);

  const apply = (kind: string, name: string, spec: object) =>
    world.federation.run(["apply", "-f", "-"], JSON.stringify({ apiVersion, kind, metadata: { name }, spec }));
  const members = (...voters: string[]) => [
    ...voters.map((box) => ({ box, role: "Voter" })),
    { box: "witness-1", role: "Witness" },
  ];
  const jobs = (raftGroup: string) =>
    apply("ConsensusZone", "jobs", { pathPattern: "/jobs/**", mode: "strong_ha", raftGroup });
  const alone = (authorityBox: string) =>
    apply("ConsensusZone", "alone", { pathPattern: "/alone/**", mode: "strong", authorityBox });
  const boxesOf = async (name: string) => {
    const { members } = (await world.federation.get(name)).status as unknown as { members: { box: string }[] };
    return members.map(({ box }) => box).sort();
  };
  /** Sets the new members of the group that all zones but the others have. */
  const patchMain = (...voters: string[]) =>
    world.federation.run([
      "patch",
      "raftgroup",
      "main",
      "--type=merge",
      "-p",
      JSON.stringify({ spec: { members: members(...voters) } }),
    ]);

  test("new boxes are there when the runbook's wait ends", async () => {
    await jobs("main");
    await alone("nexus-1");
    await world.federation.settled();
    await nexus(namespace, ["put", "/jobs/one", "-"], "first");
    await nexus(namespace, ["put", "/alone/one", "-"], "second");
    for (const box of ["nexus-b-01", "nexus-b-02"]) await apply("Box", box, { region: "local" });

    const line = "kubectl -n files wait box/nexus-b-01 --for=condition=Ready --timeout=10m";
    expect(runbook).toContain(line);
    await shell(line.replace("files", namespace));

    expect(await world.federation.says("box/nexus-b-01", "Ready")).toContain("Ready=True");
  });

  test("a zone that gets a group of its own moves alone; one with an authority follows its name", async () => {
    await underLoad(world.federation, world.use, async (load) => {
      await world.federation.settled();
      await apply("RaftGroup", "jobs", { members: members("nexus-b-01", "nexus-b-02") });
      await jobs("jobs");
      await alone("nexus-b-01");
      await world.federation.settled(240_000);
      await furtherWrites(load);
    });

    expect(await boxesOf("consensuszone/jobs")).toEqual(["nexus-b-01", "nexus-b-02", "witness-1"]);
    expect(await boxesOf("consensuszone/alone")).toEqual(["nexus-b-01"]);
    expect(await boxesOf("consensuszone/root")).toEqual(["nexus-1", "nexus-2", "witness-1"]);
    expect(await nexus(namespace, ["get", "/jobs/one"])).toBe("first");
    expect(await nexus(namespace, ["get", "/alone/one"])).toBe("second");
  });

  test("the group moves with all its zones, and the boxes that nothing names any more are deleted", async () => {
    await underLoad(world.federation, world.use, async (load) => {
      await patchMain("nexus-b-01", "nexus-b-02");
      await world.federation.settled(240_000);
      await furtherWrites(load);
      await world.federation.run(["delete", "box", "nexus-1", "nexus-2", "--timeout=180s"]);
      await furtherWrites(load);
      await world.federation.settled();
    });

    expect(await boxesOf("consensuszone/root")).toEqual(["nexus-b-01", "nexus-b-02", "witness-1"]);
    expect((await world.federation.all("statefulsets")).map(({ metadata }) => metadata.name).sort()).toEqual([
      "nexus-b-01",
      "nexus-b-02",
      "witness-1",
    ]);
    expect(await nexus(namespace, ["get", "/alone/one"])).toBe("second");
  });
});
