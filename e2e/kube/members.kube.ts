// Members, modes and zones that change while clients write: what the specs ask for is reached step by step, and nothing
// that was acknowledged is missing afterwards.
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Cluster } from "../cluster/cluster.ts";
import { until } from "../cluster/programs.ts";
import { Federation, installOperator } from "./harness/operator.ts";
import { furtherWrites, underLoad } from "./harness/scenario.ts";

const context = inject("cluster");
const apiVersion = "federation.nexus.io/v1alpha1";

describe.skipIf(context === undefined)("a federation whose members and modes change", () => {
  let cluster: Cluster;
  let federation: Federation;
  const use = { image: "" };

  beforeAll(async () => {
    cluster = await installOperator(context!);
    use.image = context!.images.operator;
    federation = await Federation.apply(cluster, "members");
    await federation.settled();
  });
  afterAll(() => federation?.remove());

  const apply = (object: object) => federation.run(["apply", "-f", "-"], JSON.stringify({ apiVersion, ...object }));
  const box = (name: string) => apply({ kind: "Box", metadata: { name }, spec: { region: "local" } });
  const root = (spec: object) =>
    apply({ kind: "ConsensusZone", metadata: { name: "root" }, spec: { pathPattern: "/**", ...spec } });
  const patch = (name: string, spec: object) =>
    federation.run(["patch", ...name.split("/"), "--type=merge", "-p", JSON.stringify({ spec })]);
  const members = (voters: string[], witness?: string) => {
    const list = voters.map((name) => ({ box: name, role: "Voter" }));
    return patch("raftgroup/main", { members: witness ? [...list, { box: witness, role: "Witness" }] : list });
  };
  const remove = (...names: string[]) => federation.run(["delete", "box", ...names, "--timeout=180s"]);
  const workloads = async () => (await federation.all("statefulsets")).map(({ metadata }) => metadata.name).sort();

  test("two boxes and a witness grow to three boxes, to five, and back", async () => {
    const numbered = (count: number) => Array.from({ length: count }, (_, index) => `nexus-${index + 1}`);
    await underLoad(federation, use, async (load) => {
      for (const count of [3, 5]) {
        for (const name of numbered(count).slice(2)) await box(name);
        await members(numbered(count));
        await federation.settled(240_000);
        await furtherWrites(load);
      }
      await members(numbered(3));
      await remove("nexus-4", "nexus-5");
      await federation.settled(240_000);
      await members(numbered(2), "witness-1");
      await remove("nexus-3");
      await federation.settled(240_000);
    });

    expect(await workloads()).toEqual(["nexus-1", "nexus-2", "witness-1"]);
    const claims = (await federation.all("pvc")).map(({ metadata }) => metadata.name);
    expect(claims).toEqual(expect.arrayContaining(["nexus-3-data", "nexus-4-data", "nexus-5-data"]));
  });

  test("a member is replaced by another box", async () => {
    await underLoad(federation, use, async () => {
      await box("nexus-6");
      await members(["nexus-1", "nexus-6"], "witness-1");
      await remove("nexus-2");
      await federation.settled(240_000);
    });

    expect(await workloads()).toEqual(["nexus-1", "nexus-6", "witness-1"]);
  });

  test("a zone goes from strong_ha to strong and back, online", async () => {
    await underLoad(federation, use, async (load) => {
      await root({ mode: "strong", authorityBox: "nexus-6", replicas: ["nexus-1"] });
      await federation.settled();
      expect((await federation.get("consensuszone/root")).status?.mode).toBe("strong");
      await furtherWrites(load);
      await root({ mode: "strong_ha", raftGroup: "main" });
      await federation.settled();
    });

    expect((await federation.get("consensuszone/root")).status?.mode).toBe("strong_ha");
  });

  test("a zone goes from strong_ha to eventual and back, online", async () => {
    // Its mode offers no linearizable read.
    await underLoad(federation, { ...use, mayBeStale: true, refuses: ["CONSISTENCY"] }, async (load) => {
      await root({ mode: "eventual", authorityBox: "nexus-1", replicas: ["nexus-6"] });
      await federation.settled();
      await furtherWrites(load);
      await root({ mode: "strong_ha", raftGroup: "main" });
      await federation.settled();
    });
  });

  test("a box that hibernates keeps its volume and comes back as itself", async () => {
    const claim = (await federation.get("pvc/nexus-6-data")).metadata.uid;
    const { incarnation } = (await federation.get("box/nexus-6")).status ?? {};

    await underLoad(federation, use, async (load) => {
      await federation.run(["annotate", "box", "nexus-6", "federation.nexus.io/hibernate=yes"]);
      await federation.saying("box/nexus-6", "Available", /False Hibernated/);
      await furtherWrites(load);
      expect((await cluster.get(federation.namespace, "pod/nexus-6-0")) === undefined).toBe(true);
      await federation.run(["annotate", "box", "nexus-6", "federation.nexus.io/hibernate-"]);
      await federation.settled();
    });

    expect((await federation.get("pvc/nexus-6-data")).metadata.uid).toBe(claim);
    expect((await federation.get("box/nexus-6")).status?.incarnation).toBe(incarnation);
  });

  test("a zone that is deleted and made again under its name has its data back", async () => {
    const { uid } = (await federation.get("consensuszone/root")).status ?? {};

    await underLoad(federation, { ...use, mayFail: true }, async () => {
      await federation.run(["delete", "consensuszone", "root", "--timeout=120s"]);
      await root({ mode: "strong_ha", raftGroup: "main" });
      await federation.settled();
    });

    expect((await federation.get("consensuszone/root")).status?.uid).toBe(uid);
  });

  test("a volume that its class does not let grow is said so, and grows once it may; shrinking is refused at once", async () => {
    const claim = async () => JSON.stringify((await federation.get("pvc/nexus-1-data")).spec["resources"]);
    const before = await claim();
    const growing = (yes: boolean) =>
      cluster.kubectl(["patch", "storageclass", "standard", "-p", JSON.stringify({ allowVolumeExpansion: yes })]);

    await underLoad(federation, use, async (load) => {
      await patch("box/nexus-1", { storage: { size: "40Gi" } });
      await federation.saying("box/nexus-1", "Stalled", /True VolumeNotGrown/);
      await furtherWrites(load);
      expect(await claim()).toBe(before);

      await growing(true);
      await federation.saying("box/nexus-1", "Stalled", /False/, 180_000);
      await growing(false);
      await federation.settled();
    });

    expect(await claim()).toContain("40Gi");
    await expect(patch("box/nexus-1", { storage: { size: "1Gi" } })).rejects.toThrow(/grow/);
  });

  test("everything applied again changes nothing", async () => {
    const kinds = "boxes,raftgroups,consensuszones,statefulsets,services,secrets,configmaps,poddisruptionbudgets";
    const versions = async () =>
      (await federation.all(kinds)).map(({ kind, metadata }) => `${kind}/${metadata.name} ${metadata.resourceVersion}`);
    const once = JSON.parse(await federation.run(["get", "boxes,raftgroups,consensuszones", "-o", "json"]));
    for (const item of once.items) {
      item.metadata = { name: item.metadata.name };
      delete item.status;
    }
    const apply = () =>
      federation.run(["apply", "--server-side", "--force-conflicts", "-f", "-"], JSON.stringify(once));
    await apply();
    let before = await versions();
    const rests = async () => {
      const earlier = before;
      before = await versions();
      return JSON.stringify(before) === JSON.stringify(earlier);
    };
    await until("a round without a write", rests, { withinMs: 60_000, everyMs: 6_000 });

    await apply();

    expect(await versions()).toEqual(before);
  });
});
