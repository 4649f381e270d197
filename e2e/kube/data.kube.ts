// What must never be lost, or be lost in silence: disks that are gone or older than they were, nodes that do not answer,
// and quorums that cannot come back. Nothing is given up here but by a person's word.
import { describe, expect, inject, test } from "vitest";
import { until } from "../cluster/programs.ts";
import { scaleOperator } from "./harness/operator.ts";
import { pluginOf } from "./harness/plugin.ts";
import { furtherWrites, underLoad } from "./harness/scenario.ts";
import { everywhere, exchange, keepCopy, loseVolumes, nodeOfBox } from "./harness/volumes.ts";
import { worldOf } from "./harness/world.ts";

const context = inject("cluster");
const boxes = ["nexus-1", "nexus-2", "nexus-3"];

describe.skipIf((context?.nodes.length ?? 0) < 3)("three boxes whose disks and nodes are taken away", () => {
  const world = worldOf(context, "data", "strong-ha-3");
  const { nexus } = pluginOf(context);

  const incarnation = async (box: string) => (await world.federation.get(`box/${box}`)).status?.incarnation ?? "";
  const uids = (kind: string) =>
    Promise.all(
      boxes.map(
        async (box) => (await world.federation.get(`${kind}/${box}-${kind === "pod" ? "0" : "data"}`)).metadata.uid,
      ),
    );

  test("a volume that a snapshot brings back is another incarnation and does not vote with what it forgot", async () => {
    const leader = await world.federation.leader();
    const box = boxes.find((each) => each !== leader)!;
    const before = await incarnation(box);

    await underLoad(world.federation, world.use, async (load) => {
      await keepCopy(world.federation, box);
      await furtherWrites(load, 200);
      await everywhere(world.cluster, "copy");
      try {
        await loseVolumes(world.federation, [box]);
        const another = async () => ![before, ""].includes(await incarnation(box));
        await until("another incarnation", another, { withinMs: 120_000, everyMs: 500 });
        await world.federation.settled();
      } finally {
        // Whoever gets one of them later would find another box's data.
        await everywhere(world.cluster, "empty");
      }
    });

    expect(await world.federation.run(["logs", `${box}-0`])).toContain("another volume than before");
  });

  test("two disks that were exchanged under their claims are refused by both boxes, and nothing is lost", async () => {
    const { federation } = world;
    const pair = ["nexus-1", "nexus-2"] as const;
    const scaled = async (replicas: number) => {
      for (const box of pair) await federation.run(["scale", `statefulset/${box}`, `--replicas=${replicas}`]);
      if (replicas === 0)
        await federation.run(["wait", "--for=delete", ...pair.map((box) => `pod/${box}-0`), "--timeout=90s"]);
    };
    const exchanged = async () => {
      await scaleOperator(world.cluster, 0);
      await scaled(0);
      await exchange(federation, ...pair);
      await scaled(1);
      await scaleOperator(world.cluster, 2);
    };
    const before = await Promise.all(pair.map(incarnation));

    await underLoad(federation, { ...world.use, mayFail: true }, async () => {
      await exchanged();
      for (const [box, owner] of [pair, [...pair].reverse()] as [string, string][])
        await federation.saying(
          `box/${box}`,
          "Ready",
          new RegExp(`False NotRunning: .*holds the data of box ${owner} of`),
        );
      await exchanged();
      await federation.settled(240_000);
    });

    expect(await Promise.all(pair.map(incarnation))).toEqual(before);
  });

  test("a node that does not answer is reported with what to do, and nothing is put in its place", async () => {
    const candidates = await Promise.all(boxes.map((box) => nodeOfBox(world.federation, box)));
    const at = candidates.findIndex((node) => node !== 1);
    const [pods, claims] = [await uids("pod"), await uids("pvc")];

    await underLoad(world.federation, { ...world.use, mayFail: true }, async (load) => {
      await world.cluster.freeze(candidates[at]!);
      try {
        await furtherWrites(load);
        const said = await world.federation.saying(`box/${boxes[at]}`, "Available", /NodeLost/, 180_000);
        expect(said).toContain("node.kubernetes.io/out-of-service=nodeshutdown:NoExecute");
        await furtherWrites(load);
        expect([await uids("pod"), await uids("pvc")]).toEqual([pods, claims]);
      } finally {
        await world.cluster.thaw(candidates[at]!);
      }
      await world.federation.settled(180_000);
    });
  });

  test("a quorum that is lost for good is given up only by the recovery block, which says what may be missing", async () => {
    const survivor = await world.federation.leader();
    const lost = boxes.filter((box) => box !== survivor);
    const recover = (zone: string, ...consent: string[]) =>
      nexus("data", ["recover", zone, "--from", survivor, ...consent]);

    await underLoad(world.federation, { ...world.use, mayFail: true }, async () => {
      await scaleOperator(world.cluster, 0);
      await loseVolumes(world.federation, lost);
      await scaleOperator(world.cluster, 2);
      for (const box of lost) await world.federation.saying(`box/${box}`, "Ready", /replace-volume/);
      await world.federation.saying("raftgroup/main", "QuorumHealthy", /False/);
      expect(await world.federation.run(["get", "pvc", "-o", "name"])).toBe(`persistentvolumeclaim/${survivor}-data\n`);

      for (const zone of ["system", "root"]) {
        expect(await recover(zone)).toContain("Nothing is done yet");
        await recover(zone, "--accept-data-loss");
        await world.federation.saying(
          "raftgroup/main",
          "DataLost",
          new RegExp(`Zone ${zone} went on from box ${survivor}`),
        );
      }
      await world.federation.settled(180_000);
    });

    expect(await world.federation.says("consensuszone/root", "DataLost")).toContain("is lost");
  });

  test("when every volume is gone, that is said, and no empty federation is put in its place", async () => {
    await scaleOperator(world.cluster, 0);
    const claims = await uids("pvc");
    await loseVolumes(world.federation, boxes);
    await scaleOperator(world.cluster, 2);
    await world.federation.saying("consensuszone/root", "DataLost", /True DataLost: .*never made in its place/);

    for (const [at, box] of boxes.entries())
      await world.federation.run(["annotate", "box", box, `federation.nexus.io/replace-volume=${claims[at]}`]);
    const empty = async () => {
      const states = await Promise.all(
        boxes.map(async (box) => (await world.federation.get(`box/${box}`)).status?.state),
      );
      return states.every((state) => state === "empty");
    };
    await until("boxes with new, empty disks", empty, { withinMs: 120_000, everyMs: 500 });

    await world.federation.saying("consensuszone/root", "DataLost", /True DataLost: .*never made in its place/);
    expect(await world.federation.says("raftgroup/main", "Ready")).toContain("DataLost");
  });
});
