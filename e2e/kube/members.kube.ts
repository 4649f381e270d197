// Members, modes and zones that change while clients write: what the specs ask for is reached step by step, and nothing
// that was acknowledged is missing afterwards.
import { describe, expect, inject, test } from "vitest";
import { until } from "../cluster/programs.ts";
import { furtherWrites, underLoad } from "./harness/scenario.ts";
import { worldOf } from "./harness/world.ts";

const context = inject("cluster");
const apiVersion = "federation.nexus.io/v1alpha1";

describe.skipIf(context === undefined)("a federation whose members and modes change", () => {
  const world = worldOf(context, "members");

  const apply = (object: object) =>
    world.federation.run(["apply", "-f", "-"], JSON.stringify({ apiVersion, ...object }));
  const box = (name: string) => apply({ kind: "Box", metadata: { name }, spec: { region: "local" } });
  const root = (spec: object) =>
    apply({ kind: "ConsensusZone", metadata: { name: "root" }, spec: { pathPattern: "/**", ...spec } });
  const patch = (name: string, spec: object) =>
    world.federation.run(["patch", ...name.split("/"), "--type=merge", "-p", JSON.stringify({ spec })]);
  const members = (voters: string[], witness?: string) => {
    const list = voters.map((name) => ({ box: name, role: "Voter" }));
    return patch("raftgroup/main", { members: witness ? [...list, { box: witness, role: "Witness" }] : list });
  };
  const remove = (...names: string[]) => world.federation.run(["delete", "box", ...names, "--timeout=180s"]);
  const workloads = async () =>
    (await world.federation.all("statefulsets")).map(({ metadata }) => metadata.name).sort();

  test("two boxes and a witness grow to three boxes, to five, and back", async () => {
    const numbered = (count: number) => Array.from({ length: count }, (_, index) => `nexus-${index + 1}`);
    await underLoad(world.federation, world.use, async (load) => {
      for (const count of [3, 5]) {
        for (const name of numbered(count).slice(2)) await box(name);
        await members(numbered(count));
        await world.federation.settled(240_000);
        await furtherWrites(load);
      }
      await members(numbered(3));
      await remove("nexus-4", "nexus-5");
      await world.federation.settled(240_000);
      await members(numbered(2), "witness-1");
      await remove("nexus-3");
      await world.federation.settled(240_000);
    });

    expect(await workloads()).toEqual(["nexus-1", "nexus-2", "witness-1"]);
    const claims = (await world.federation.all("pvc")).map(({ metadata }) => metadata.name);
    expect(claims).toEqual(expect.arrayContaining(["nexus-3-data", "nexus-4-data", "nexus-5-data"]));
  });

  test("a member is replaced by another box", async () => {
    await underLoad(world.federation, world.use, async () => {
      await box("nexus-6");
      await members(["nexus-1", "nexus-6"], "witness-1");
      await remove("nexus-2");
      await world.federation.settled(240_000);
    });

    expect(await workloads()).toEqual(["nexus-1", "nexus-6", "witness-1"]);
  });

  test("a zone goes from strong_ha to strong and back, online", async () => {
    await underLoad(world.federation, world.use, async (load) => {
      await root({ mode: "strong", authorityBox: "nexus-6", replicas: ["nexus-1"] });
      await world.federation.settled();
      expect((await world.federation.get("consensuszone/root")).status?.mode).toBe("strong");
      await furtherWrites(load);
      await root({ mode: "strong_ha", raftGroup: "main" });
      await world.federation.settled();
    });

    expect((await world.federation.get("consensuszone/root")).status?.mode).toBe("strong_ha");
  });

  test("a zone goes from strong_ha to eventual and back, online", async () => {
    // Its mode offers no linearizable read.
    await underLoad(world.federation, { ...world.use, mayBeStale: true, refuses: ["CONSISTENCY"] }, async (load) => {
      await root({ mode: "eventual", authorityBox: "nexus-1", replicas: ["nexus-6"] });
      await world.federation.settled();
      await furtherWrites(load);
      await root({ mode: "strong_ha", raftGroup: "main" });
      await world.federation.settled();
    });
  });

  test("a box that hibernates keeps its volume and comes back as itself", async () => {
    const claim = (await world.federation.get("pvc/nexus-6-data")).metadata.uid;
    const { incarnation } = (await world.federation.get("box/nexus-6")).status ?? {};

    await underLoad(world.federation, world.use, async (load) => {
      await world.federation.run(["annotate", "box", "nexus-6", "federation.nexus.io/hibernate=yes"]);
      await world.federation.saying("box/nexus-6", "Available", /False Hibernated/);
      await furtherWrites(load);
      const pod = () => world.cluster.get(world.federation.namespace, "pod/nexus-6-0");
      await until("the end of its pod", async () => (await pod()) === undefined, { withinMs: 60_000, everyMs: 500 });
      await world.federation.run(["annotate", "box", "nexus-6", "federation.nexus.io/hibernate-"]);
      await world.federation.settled();
    });

    expect((await world.federation.get("pvc/nexus-6-data")).metadata.uid).toBe(claim);
    expect((await world.federation.get("box/nexus-6")).status?.incarnation).toBe(incarnation);
  });

  test("a zone that is deleted and made again under its name has its data back", async () => {
    const { uid } = (await world.federation.get("consensuszone/root")).status ?? {};

    await underLoad(world.federation, { ...world.use, mayFail: true }, async () => {
      await world.federation.run(["delete", "consensuszone", "root", "--timeout=120s"]);
      await root({ mode: "strong_ha", raftGroup: "main" });
      await world.federation.settled();
    });

    expect((await world.federation.get("consensuszone/root")).status?.uid).toBe(uid);
  });

  test("a volume that its class does not let grow is said so, and grows once it may; shrinking is refused at once", async () => {
    const claim = async () => JSON.stringify((await world.federation.get("pvc/nexus-1-data")).spec["resources"]);
    const before = await claim();
    const growing = (yes: boolean) =>
      world.cluster.kubectl(["patch", "storageclass", "standard", "-p", JSON.stringify({ allowVolumeExpansion: yes })]);

    await underLoad(world.federation, world.use, async (load) => {
      await patch("box/nexus-1", { storage: { size: "40Gi" } });
      await world.federation.saying("box/nexus-1", "Stalled", /True VolumeNotGrown/);
      await furtherWrites(load);
      expect(await claim()).toBe(before);

      await growing(true);
      await world.federation.saying("box/nexus-1", "Stalled", /False/, 180_000);
      await growing(false);
      await world.federation.settled();
    });

    expect(await claim()).toContain("40Gi");
    await expect(patch("box/nexus-1", { storage: { size: "1Gi" } })).rejects.toThrow(/grow/);
  });

  test("everything applied again changes nothing", async () => {
    const once = JSON.parse(await world.federation.run(["get", "boxes,raftgroups,consensuszones", "-o", "json"]));
    for (const item of once.items) {
      item.metadata = { name: item.metadata.name };
      delete item.status;
    }
    const apply = () =>
      world.federation.run(["apply", "--server-side", "--force-conflicts", "-f", "-"], JSON.stringify(once));
    await apply();
    const before = await world.federation.resting({ withinMs: 60_000, everyMs: 6_000 });

    await apply();

    expect(await world.federation.versions()).toEqual(before);
  });
});
