// What a cluster does to a federation by itself: nodes that are emptied, a control plane and kubelets that die, networks
// that part, operators that are away or too many. The load goes on meanwhile, and nothing acknowledged is missing afterwards.
import { describe, expect, inject, test } from "vitest";
import { until } from "../cluster/programs.ts";
import { operatorPods, scaleOperator } from "./harness/operator.ts";
import { furtherWrites, underLoad } from "./harness/scenario.ts";
import { nodeOfBox } from "./harness/volumes.ts";
import { worldOf } from "./harness/world.ts";

const context = inject("cluster");
const boxes = ["nexus-1", "nexus-2", "witness-1"];

describe.skipIf((context?.nodes.length ?? 0) < 3)("a federation on a cluster with faults", () => {
  const world = worldOf(context, "faults");

  /** Kills a program of the node, which is started again there; resolves once it is another process. */
  async function killed(node: number, program: string): Promise<void> {
    const pid = async () => (await world.cluster.exec(node, ["pidof", program])).stdout.trim();
    const before = await pid();
    await world.cluster.exec(node, ["kill", "-9", ...before.split(" ")]);
    await until(`another ${program}`, async () => ![before, ""].includes(await pid()), { withinMs: 60_000 });
  }

  const podUids = () =>
    Promise.all(boxes.map(async (box) => (await world.federation.get(`pod/${box}-0`)).metadata.uid));

  test("the node of each member is emptied in turn: each waits for its turn, no call of a client fails", async () => {
    await underLoad(world.federation, world.use, async (load) => {
      for (const box of boxes) {
        const node = `node${await nodeOfBox(world.federation, box)}`;
        const selector = "--pod-selector=federation.nexus.io/box";
        await world.cluster.kubectl(["drain", node, selector, "--force", "--timeout=240s"]);
        await furtherWrites(load);
        await world.cluster.kubectl(["uncordon", node]);
        await world.federation.settled(240_000);
      }
    });
  });

  test("no operator is there for the whole of a failover", async () => {
    await underLoad(world.federation, world.use, async (load) => {
      await scaleOperator(world.cluster, 0);
      const pod = `${await world.federation.leader()}-0`;
      await world.federation.run(["delete", "pod", pod, "--grace-period=0", "--force"]);
      await furtherWrites(load, 100);
      await world.federation.run(["wait", "--for=condition=Ready", `pod/${pod}`, "--timeout=120s"]);
      await scaleOperator(world.cluster, 2);
      await world.federation.settled();
    });
  });

  test("four operators, of which those that were there first are killed, restart no box", async () => {
    const before = await podUids();

    await underLoad(world.federation, world.use, async (load) => {
      const first = await operatorPods(world.cluster);
      await scaleOperator(world.cluster, 4);
      await world.cluster.kubectl(["-n", "nexus-system", "delete", ...first, "--grace-period=0", "--force"]);
      await furtherWrites(load, 100);
      await scaleOperator(world.cluster, 2);
      await world.federation.run(["annotate", "box", "nexus-1", "seen=yes", "--overwrite"]);
      await world.federation.settled();
    });

    expect(await podUids()).toEqual(before);
  });

  test.each(["kube-apiserver", "etcd", "kube-controller-manager"])(
    "%s is killed: boxes go on, nothing is restarted",
    async (part) => {
      const before = await podUids();

      await underLoad(world.federation, world.use, async (load) => {
        await killed(1, part);
        await furtherWrites(load, 100);
        await world.federation.settled();
      });

      expect(await podUids()).toEqual(before);
    },
  );

  test("the kubelet of the leader's node is killed", async () => {
    const before = await podUids();

    await underLoad(world.federation, world.use, async (load) => {
      await killed(await nodeOfBox(world.federation, await world.federation.leader()), "kubelet");
      await furtherWrites(load, 100);
      await world.federation.settled();
    });

    expect(await podUids()).toEqual(before);
  });

  test("the leader is cut off from the other box: one of them goes on with the witness, and both agree afterwards", async () => {
    const leader = await world.federation.leader();
    const other = leader === "nexus-1" ? "nexus-2" : "nexus-1";
    const address = async (box: string) =>
      ((await world.federation.get(`pod/${box}-0`)).status as { podIP?: string }).podIP!;
    const pair = [await address(leader), await address(other)] as const;
    const node = await nodeOfBox(world.federation, leader);
    const cut = async (on: boolean) => {
      for (const [from, to] of [pair, [...pair].reverse()])
        await world.cluster.exec(node, ["iptables", on ? "-I" : "-D", "FORWARD", "-s", from!, "-d", to!, "-j", "DROP"]);
    };

    await underLoad(world.federation, { ...world.use, mayFail: true }, async (load) => {
      await cut(true);
      try {
        await world.federation.saying("raftgroup/main", "DegradedDurability", /True/);
        await furtherWrites(load, 100);
      } finally {
        await cut(false);
      }
      await world.federation.saying("raftgroup/main", "DegradedDurability", /False/);
      await world.federation.settled();
    });
  });

  test("the leader's node hangs and comes back: the other box goes on, and both agree afterwards", async () => {
    const leadersNode = async () => nodeOfBox(world.federation, await world.federation.leader());
    // The control plane's own node is left alone: nothing could be asked meanwhile.
    if ((await leadersNode()) === 1) {
      await world.federation.run(["delete", "pod", `${await world.federation.leader()}-0`]);
      const elsewhere = async () => ((await world.federation.leader()) === "" ? false : (await leadersNode()) !== 1);
      await until("a leader on another node", elsewhere, { withinMs: 60_000 });
      await world.federation.settled();
    }
    const hanging = await leadersNode();
    expect(hanging).not.toBe(1);

    await underLoad(world.federation, { ...world.use, mayFail: true }, async (load) => {
      await world.cluster.freeze(hanging);
      await furtherWrites(load, 50).finally(() => world.cluster.thaw(hanging));
      await world.federation.settled(240_000);
    });
  });
});
