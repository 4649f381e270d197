// The chart's whole life with clients that write and read meanwhile: what the README promises a platform engineer.
import { resolve } from "node:path";
import { afterAll, describe, expect, inject, test } from "vitest";
import { Cluster } from "../cluster/cluster.ts";
import { until } from "../cluster/programs.ts";
import { Load } from "./harness/load.ts";
import { Federation, operatorNamespace } from "./harness/operator.ts";
import { furtherWrites } from "./harness/scenario.ts";

const context = inject("cluster");
const chart = resolve(import.meta.dirname, "../../charts/nexus");
const boxes = ["nexus-1", "nexus-2", "witness-1"];

describe.skipIf(context === undefined)("the chart, from installation to a second one", () => {
  const system = ["-n", "charted-system"];
  const namespace = "charted";
  let cluster: Cluster;
  let federation: Federation;
  let load: Load;

  const install = (...more: string[]) => {
    const tag = context!.images.operator.split(":").at(-1)!;
    const values = ["--set", `image.tag=${tag}`];
    // Another file may have put the definitions there by hand.
    const flags = ["--create-namespace", "--take-ownership", "--wait", "--timeout", "2m"];
    return cluster.helm(["upgrade", "--install", "charted", chart, ...system, ...flags, ...values, ...more]);
  };
  const podUids = () => Promise.all(boxes.map(async (box) => (await federation.get(`pod/${box}-0`)).metadata.uid));
  afterAll(async () => {
    if (!cluster) return;
    await cluster.tryKubectl(["delete", "namespace", namespace, "--timeout=120s"]);
    await cluster.helm(["uninstall", "charted", ...system, "--ignore-not-found"]);
  });

  test("an installed chart and an example are a federation that takes writes", async () => {
    cluster = new Cluster(context!);
    // One that another file left would hold what this one lets go.
    await cluster.tryKubectl(["-n", operatorNamespace, "delete", "deployment", "nexus-operator", "--ignore-not-found"]);
    await install();
    federation = await Federation.apply(cluster, namespace);
    await federation.settled();

    load = await Load.start(cluster, namespace, { image: context!.images.operator });
    await furtherWrites(load);
  });

  test("its pods keep the restricted Pod Security standard", async () => {
    for (const each of [namespace, "charted-system"]) {
      const label = "pod-security.kubernetes.io/enforce=restricted";
      const judged = await cluster.tryKubectl(["label", "--dry-run=server", "--overwrite", "namespace", each, label]);
      const warnings = judged.stderr.split("\n").filter((line) => line.startsWith("Warning:"));
      const breaking = warnings.filter((line) => !/existing pods in namespace|loader/.test(line));

      expect(breaking).toEqual([]);
    }
  });

  test("writes go on after the leader's pod is killed", async () => {
    await federation.run(["delete", "pod", `${await federation.leader()}-0`, "--grace-period=0", "--force"]);

    await furtherWrites(load);
    await federation.settled();
  });

  test("an upgrade of the chart restarts no box", async () => {
    const before = await podUids();

    await install("--set", "replicas=3", "--set", "log=debug");
    await federation.settled();

    expect(await podUids()).toEqual(before);
  });

  test("uninstalled, all boxes and volumes stay and serve; installed again, they are taken over as they are", async () => {
    const before = await podUids();
    await cluster.helm(["uninstall", "charted", ...system, "--wait"]);
    await furtherWrites(load);
    const claims = (await federation.all("persistentvolumeclaims")).map((claim) => claim.metadata.name).sort();
    expect(claims).toEqual(boxes.map((box) => `${box}-data`));

    await install();
    await federation.settled();

    expect(await podUids()).toEqual(before);
    const { missing, wrong } = await load.stop();
    expect({ missing, wrong }).toEqual({ missing: [], wrong: [] });
  });

  test("once it is uninstalled, a box is let go and a namespace ends, with no operator there", async () => {
    await cluster.helm(["uninstall", "charted", ...system, "--wait"]);
    const held = async (kind: string) =>
      (await federation.all(kind)).filter(({ metadata }) => (metadata.finalizers ?? []).length > 0);
    expect([...(await held("boxes")), ...(await held("consensuszones"))]).toEqual([]);

    await cluster.kubectl(["delete", "namespace", namespace, "--timeout=180s"]);
  });

  test("a namespace that is deleted while the operator is away goes once it is back", async () => {
    await install();
    federation = await Federation.apply(cluster, namespace);
    await federation.settled();
    const scale = (replicas: number) =>
      cluster.kubectl([...system, "scale", "deployment/charted-operator", `--replicas=${replicas}`]);
    await scale(0);
    await cluster.kubectl(["delete", "namespace", namespace, "--wait=false"]);
    const emptied = async () => (await federation.all("pods")).length === 0;
    await until("the end of the namespace's pods", emptied, { withinMs: 90_000 });

    await scale(2);

    await cluster.kubectl(["wait", "--for=delete", `namespace/${namespace}`, "--timeout=120s"]);
  });
});
