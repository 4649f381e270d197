// What must never be lost, or be lost in silence: disks that are gone or older than they were, nodes that do not answer,
// and quorums that cannot come back. Nothing is given up here but by a person's word.
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Cluster } from "../cluster/cluster.ts";
import { until } from "../cluster/programs.ts";
import { Federation, installOperator, scaleOperator } from "./harness/operator.ts";
import { furtherWrites, underLoad } from "./harness/scenario.ts";
import { everywhere, keepCopy, loseVolumes, nodeOfBox } from "./harness/volumes.ts";

const context = inject("cluster");
const boxes = ["nexus-1", "nexus-2", "nexus-3"];

describe.skipIf((context?.nodes.length ?? 0) < 3)("three boxes whose disks and nodes are taken away", () => {
  let cluster: Cluster;
  let federation: Federation;
  const use = { image: "", node: "node1" };

  beforeAll(async () => {
    cluster = await installOperator(context!);
    use.image = context!.images.operator;
    federation = await Federation.apply(cluster, "data", "strong-ha-3");
    await federation.settled();
  });
  afterAll(() => federation?.remove());

  const incarnation = async (box: string) => (await federation.get(`box/${box}`)).status?.incarnation ?? "";
  const uids = (kind: string) =>
    Promise.all(
      boxes.map(async (box) => (await federation.get(`${kind}/${box}-${kind === "pod" ? "0" : "data"}`)).metadata.uid),
    );

  test("a volume that a snapshot brings back is another incarnation and does not vote with what it forgot", async () => {
    const leader = await federation.leader();
    const box = boxes.find((each) => each !== leader)!;
    const before = await incarnation(box);

    await underLoad(federation, use, async (load) => {
      await keepCopy(federation, box);
      await furtherWrites(load, 200);
      await everywhere(cluster, "copy");
      await loseVolumes(federation, [box]);
      const another = async () => ![before, ""].includes(await incarnation(box));
      await until("another incarnation", another, { withinMs: 120_000, everyMs: 500 });
      await federation.settled();
      await everywhere(cluster, "empty");
    });

    expect(await federation.run(["logs", `${box}-0`])).toContain("another volume than before");
  });

  test("a node that does not answer is reported with what to do, and nothing is put in its place", async () => {
    const candidates = await Promise.all(boxes.map((box) => nodeOfBox(federation, box)));
    const at = candidates.findIndex((node) => node !== 1);
    const [pods, claims] = [await uids("pod"), await uids("pvc")];

    await underLoad(federation, { ...use, mayFail: true }, async (load) => {
      await cluster.freeze(candidates[at]!);
      try {
        await furtherWrites(load);
        const said = await federation.saying(`box/${boxes[at]}`, "Available", /NodeLost/, 180_000);
        expect(said).toContain("node.kubernetes.io/out-of-service=nodeshutdown:NoExecute");
        await furtherWrites(load);
        expect([await uids("pod"), await uids("pvc")]).toEqual([pods, claims]);
      } finally {
        await cluster.thaw(candidates[at]!);
      }
      await federation.settled(180_000);
    });
  });

  test("a quorum that is lost for good is given up only by the recovery block, which says what may be missing", async () => {
    const survivor = await federation.leader();
    const lost = boxes.filter((box) => box !== survivor);
    const abandonedIncarnations = await Promise.all(lost.map(incarnation));
    const known = JSON.parse(
      await federation.run(["get", "configmap", "nexus-uids", "-o", "jsonpath={.data.zones}"]),
    ) as Record<string, string>;
    const recover = (zone: string, epoch: number) => {
      const block = {
        zone,
        epoch,
        fromBox: survivor,
        groupUID: known[zone],
        abandonedIncarnations,
        acceptDataLoss: true,
      };
      return federation.run([
        "patch",
        "raftgroup",
        "main",
        "--type=merge",
        "-p",
        JSON.stringify({ spec: { recovery: block } }),
      ]);
    };

    await underLoad(federation, { ...use, mayFail: true }, async () => {
      await scaleOperator(cluster, 0);
      await loseVolumes(federation, lost);
      await scaleOperator(cluster, 2);
      for (const box of lost) await federation.saying(`box/${box}`, "Ready", /replace-volume/);
      await federation.saying("raftgroup/main", "QuorumHealthy", /False/);
      expect(await federation.run(["get", "pvc", "-o", "name"])).toBe(`persistentvolumeclaim/${survivor}-data\n`);

      for (const [at, zone] of ["system", "root"].entries()) {
        await recover(zone, at + 1);
        await federation.saying("raftgroup/main", "DataLost", new RegExp(`Zone ${zone} went on from box ${survivor}`));
      }
      await federation.settled(180_000);
    });

    expect(await federation.says("consensuszone/root", "DataLost")).toContain("is lost");
  });

  test("when every volume is gone, that is said, and no empty federation is put in its place", async () => {
    await scaleOperator(cluster, 0);
    const claims = await uids("pvc");
    await loseVolumes(federation, boxes);
    await scaleOperator(cluster, 2);
    await federation.saying("consensuszone/root", "DataLost", /True DataLost: .*never made in its place/);

    for (const [at, box] of boxes.entries())
      await federation.run(["annotate", "box", box, `federation.nexus.io/replace-volume=${claims[at]}`]);
    const empty = async () => {
      const states = await Promise.all(boxes.map(async (box) => (await federation.get(`box/${box}`)).status?.state));
      return states.every((state) => state === "empty");
    };
    await until("boxes with new, empty disks", empty, { withinMs: 120_000, everyMs: 500 });

    await federation.saying("consensuszone/root", "DataLost", /True DataLost: .*never made in its place/);
    expect(await federation.says("raftgroup/main", "Ready")).toContain("DataLost");
  });
});
