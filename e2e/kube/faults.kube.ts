// What a cluster does to a federation by itself: nodes that are emptied, a control plane and kubelets that die, networks
// that part, operators that are away or too many. The load goes on meanwhile, and nothing acknowledged is missing afterwards.
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Cluster } from "../cluster/cluster.ts";
import { until } from "../cluster/programs.ts";
import { Federation, installOperator, operatorPods, scaleOperator } from "./harness/operator.ts";
import { furtherWrites, underLoad } from "./harness/scenario.ts";
import { nodeOfBox } from "./harness/volumes.ts";

const context = inject("cluster");
const boxes = ["nexus-1", "nexus-2", "witness-1"];

describe.skipIf((context?.nodes.length ?? 0) < 3)("a federation on a cluster with faults", () => {
  let cluster: Cluster;
  let federation: Federation;
  const use = { image: "", node: "node1" };

  beforeAll(async () => {
    cluster = await installOperator(context!);
    use.image = context!.images.operator;
    federation = await Federation.apply(cluster, "faults");
    await federation.settled();
  });
  afterAll(() => federation?.remove());

  /** Kills a program of the node, which is started again there; resolves once it is another process. */
  async function killed(node: number, program: string): Promise<void> {
    const pid = async () => (await cluster.exec(node, ["pidof", program])).stdout.trim();
    const before = await pid();
    await cluster.exec(node, ["kill", "-9", ...before.split(" ")]);
    await until(`another ${program}`, async () => ![before, ""].includes(await pid()), { withinMs: 60_000 });
  }

  const podUids = () => Promise.all(boxes.map(async (box) => (await federation.get(`pod/${box}-0`)).metadata.uid));

  test("the node of each member is emptied in turn: each waits for its turn, no call of a client fails", async () => {
    await underLoad(federation, use, async (load) => {
      for (const box of boxes) {
        const node = `node${await nodeOfBox(federation, box)}`;
        const selector = "--pod-selector=federation.nexus.io/box";
        await cluster.kubectl(["drain", node, selector, "--force", "--timeout=240s"]);
        await furtherWrites(load);
        await cluster.kubectl(["uncordon", node]);
        await federation.settled(240_000);
      }
    });
  });

  test("no operator is there for the whole of a failover", async () => {
    await underLoad(federation, use, async (load) => {
      await scaleOperator(cluster, 0);
      const pod = `${await federation.leader()}-0`;
      await federation.run(["delete", "pod", pod, "--grace-period=0", "--force"]);
      await furtherWrites(load, 100);
      await federation.run(["wait", "--for=condition=Ready", `pod/${pod}`, "--timeout=120s"]);
      await scaleOperator(cluster, 2);
      await federation.settled();
    });
  });

  test("four operators, of which those that were there first are killed, restart no box", async () => {
    const before = await podUids();

    await underLoad(federation, use, async (load) => {
      const first = await operatorPods(cluster);
      await scaleOperator(cluster, 4);
      await cluster.kubectl(["-n", "nexus-system", "delete", ...first, "--grace-period=0", "--force"]);
      await furtherWrites(load, 100);
      await scaleOperator(cluster, 2);
      await federation.run(["annotate", "box", "nexus-1", "seen=yes", "--overwrite"]);
      await federation.settled();
    });

    expect(await podUids()).toEqual(before);
  });

  test.each(["kube-apiserver", "etcd", "kube-controller-manager"])(
    "%s is killed: boxes go on, nothing is restarted",
    async (part) => {
      const before = await podUids();

      await underLoad(federation, use, async (load) => {
        await killed(1, part);
        await furtherWrites(load, 100);
        await federation.settled();
      });

      expect(await podUids()).toEqual(before);
    },
  );

  test("the kubelet of the leader's node is killed", async () => {
    const before = await podUids();

    await underLoad(federation, use, async (load) => {
      await killed(await nodeOfBox(federation, await federation.leader()), "kubelet");
      await furtherWrites(load, 100);
      await federation.settled();
    });

    expect(await podUids()).toEqual(before);
  });

  test("the leader is cut off from the other box: one of them goes on with the witness, and both agree afterwards", async () => {
    const leader = await federation.leader();
    const other = leader === "nexus-1" ? "nexus-2" : "nexus-1";
    const address = async (box: string) => ((await federation.get(`pod/${box}-0`)).status as { podIP?: string }).podIP!;
    const pair = [await address(leader), await address(other)] as const;
    const node = await nodeOfBox(federation, leader);
    const cut = async (on: boolean) => {
      for (const [from, to] of [pair, [...pair].reverse()])
        await cluster.exec(node, ["iptables", on ? "-I" : "-D", "FORWARD", "-s", from!, "-d", to!, "-j", "DROP"]);
    };

    await underLoad(federation, { ...use, mayFail: true }, async (load) => {
      await cut(true);
      try {
        await federation.saying("raftgroup/main", "DegradedDurability", /True/);
        await furtherWrites(load, 100);
      } finally {
        await cut(false);
      }
      await federation.saying("raftgroup/main", "DegradedDurability", /False/);
      await federation.settled();
    });
  });

  test("the leader's node hangs and comes back: the other box goes on, and both agree afterwards", async () => {
    const leader = await federation.leader();
    const node = await nodeOfBox(federation, leader);
    // The control plane's own node is left alone: nothing could be asked meanwhile.
    if (node === 1) {
      await federation.run(["delete", "pod", `${leader}-0`]);
      await federation.settled();
    }
    const hanging = await nodeOfBox(federation, await federation.leader());
    if (hanging === 1) return;

    await underLoad(federation, { ...use, mayFail: true }, async (load) => {
      await cluster.freeze(hanging);
      await furtherWrites(load, 50).finally(() => cluster.thaw(hanging));
      await federation.settled(240_000);
    });
  });
});
