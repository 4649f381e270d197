// One federation through its life on a real cluster, with clients that write and read all the while: what was
// acknowledged must be read back at the end of each scenario, and every register must be linearizable.
import { describe, expect, inject, test } from "vitest";
import { until } from "../cluster/programs.ts";
import type { LoadResult } from "./harness/load.ts";
import { operatorNamespace, operatorPods } from "./harness/operator.ts";
import { furtherWrites, underLoad as loaded } from "./harness/scenario.ts";
import { worldOf } from "./harness/world.ts";

const context = inject("cluster");

describe.skipIf(context === undefined)("a federation of two boxes and a witness", () => {
  const world = worldOf(context, "life");

  const underLoad = (scenario: () => Promise<void>): Promise<LoadResult> =>
    loaded(world.federation, world.use, scenario);

  const patchBox = (box: string, spec: object) =>
    world.federation.run(["patch", "box", box, "--type=merge", "-p", JSON.stringify({ spec })]);
  const podUid = async (box: string) => (await world.federation.get(`pod/${box}-0`)).metadata.uid;

  test("nothing is written while nothing happens", async () => {
    // A box that a busy machine keeps from answering is news; what would be written without news is written in every
    // window.
    await world.federation.resting({ withinMs: 300_000, everyMs: 15_000 });
  });

  test("the kubelet's port tells no metrics; another one does, of boxes, witnesses and the operator", async () => {
    const [operator = ""] = await operatorPods(world.cluster);
    const pods = [
      { namespace: "life", pod: "pod/nexus-1-0", health: 2028, metrics: 2029, data: true },
      { namespace: "life", pod: "pod/witness-1-0", health: 2028, metrics: 2029, data: false },
      { namespace: operatorNamespace, pod: operator, health: 8080, metrics: 8081, data: false },
    ];
    for (const { namespace, pod, health, metrics, data } of pods) {
      const told = async (port: number, path: string) => {
        const way = await world.cluster.forward(namespace, pod, port);
        try {
          const answer = await fetch(`http://127.0.0.1:${way.port}${path}`, { headers: { connection: "close" } });
          const text = await answer.text();
          // A gauge that only a look at the box fills in.
          const leads = /^nexus_raft_leader\{zone="root"\} 1$/m.test(text);
          return { status: answer.status, isMetrics: text.includes("# TYPE "), leads };
        } finally {
          way.stop();
        }
      };
      expect(await told(health, "/metrics")).toEqual({ status: 404, isMetrics: false, leads: false });
      expect(await told(health, "/healthz")).toMatchObject({ status: 200 });
      expect(await told(metrics, "/metrics")).toEqual({ status: 200, isMetrics: true, leads: data });
    }
  });

  test("three loads at once make no liveness probe fail", async () => {
    const restarts = async () =>
      (await world.federation.all("pods")).map(({ metadata, status }) => {
        const { containerStatuses } = status as { containerStatuses?: { restartCount: number }[] };
        return `${metadata.name} ${containerStatuses?.[0]?.restartCount}`;
      });
    const before = await restarts();
    const loads = [1, 2, 3].map(() =>
      loaded(world.federation, world.use, async (load) => void (await furtherWrites(load, 200))),
    );
    await Promise.all(loads);

    expect((await restarts()).filter((each) => !each.startsWith("loader"))).toEqual(before);
  });

  test("the leader's pod is killed", async () => {
    await underLoad(async () => {
      const pod = `${await world.federation.leader()}-0`;
      await world.federation.run(["delete", "pod", pod, "--grace-period=0", "--force"]);
      await world.federation.settled();
    });
  });

  test("a changed template rolls through all pods, one at a time", async () => {
    const boxes = ["nexus-1", "nexus-2", "witness-1"];
    const before = await Promise.all(boxes.map(podUid));

    await underLoad(async () => {
      for (const box of boxes) await patchBox(box, { podTemplate: { metadata: { annotations: { rolled: "yes" } } } });
      await until(
        "three other pods",
        async () => {
          const now = await Promise.all(boxes.map((box) => podUid(box).catch(() => "")));
          return now.every((uid, at) => uid !== "" && uid !== before[at]);
        },
        { withinMs: 180_000, everyMs: 500 },
      );
      await world.federation.settled();
    });
  });

  test("an image that is not there leaves the group serving, and is left by naming a good one", async () => {
    await underLoad(async () => {
      await patchBox("nexus-2", { image: "nexus-node:absent" });
      await until(
        "a pod that cannot start",
        async () => {
          const { status } = await world.federation.get("box/nexus-2");
          return status?.conditions?.some(({ type, status: is }) => type === "Available" && is === "False") === true;
        },
        { withinMs: 60_000, everyMs: 500 },
      );
      await patchBox("nexus-2", { image: null });
      await world.federation.settled();
    });
  });

  test("a lost volume is replaced by itself: another incarnation, taken in as a learner first", async () => {
    const before = (await world.federation.get("box/nexus-2")).status?.incarnation;

    await underLoad(async () => {
      await world.federation.run(["delete", "pvc", "nexus-2-data", "--wait=false"]);
      await world.federation.run(["delete", "pod", "nexus-2-0"]);
      await until(
        "another incarnation",
        async () => {
          const now = (await world.federation.get("box/nexus-2")).status?.incarnation;
          return now !== undefined && now !== before;
        },
        { withinMs: 120_000, everyMs: 500 },
      );
      await world.federation.settled();
    });
  });

  test("the operators are killed while the members change; the next one goes on", async () => {
    const member = (box: string, role = "Voter") => ({ box, role });
    const members = (list: object[]) =>
      world.federation.run([
        "patch",
        "raftgroup",
        "main",
        "--type=merge",
        "-p",
        JSON.stringify({ spec: { members: list } }),
      ]);
    const box = {
      apiVersion: "federation.nexus.io/v1alpha1",
      kind: "Box",
      metadata: { name: "nexus-3" },
      spec: { region: "local" },
    };
    await underLoad(async () => {
      await world.federation.run(["apply", "-f", "-"], JSON.stringify(box));
      await members([member("nexus-1"), member("nexus-2"), member("nexus-3")]);
      for (const pod of await operatorPods(world.cluster))
        await world.cluster.kubectl(["-n", operatorNamespace, "delete", pod, "--grace-period=0", "--force"]);
      await world.federation.settled(180_000);
      await members([member("nexus-1"), member("nexus-2"), member("witness-1", "Witness")]);
      await world.federation.run(["delete", "box", "nexus-3", "--timeout=120s"]);
      await world.federation.settled();
    });

    expect((await world.federation.all("statefulsets")).map(({ metadata }) => metadata.name)).not.toContain("nexus-3");
    expect((await world.federation.all("pvc")).map(({ metadata }) => metadata.name)).toContain("nexus-3-data");
  });

  test("a box that is deleted while its group names it stays and serves", async () => {
    await world.federation.run(["delete", "box", "nexus-2", "--wait=false"]);
    const { status } = await world.federation.get("raftgroup/main");
    expect(status).toBeDefined();
    await underLoad(async () => undefined);

    expect((await world.federation.get("pod/nexus-2-0")).metadata.name).toBe("nexus-2-0");
  });
});
