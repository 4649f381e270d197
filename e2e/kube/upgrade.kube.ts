// The runbook of an upgrade, to images that really are another version: the operator first, which restarts no box, then the
// boxes one by one, and back again, while clients write and none of their calls fails.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { makeImages } from "../../images/make.ts";
import { Cluster } from "../cluster/cluster.ts";
import { until } from "../cluster/programs.ts";
import { Federation, operatorNamespace } from "./harness/operator.ts";
import { Rollout } from "./harness/rollout.ts";
import { furtherWrites, underLoad } from "./harness/scenario.ts";

const context = inject("cluster");
const root = resolve(import.meta.dirname, "../..");
const runbook = readFileSync(resolve(root, "docs/runbooks/upgrade.md"), "utf8");
const namespace = "upgrade";
const system = ["-n", "upgrade-system"];
const next = { tag: "e2e-next", version: "0.1.1-next" };
const voters = ["nexus-1", "nexus-2", "witness-1"];

describe.skipIf(context === undefined)("an upgrade to another version", () => {
  let cluster: Cluster;
  let federation: Federation;
  const use = () => ({ image: context!.images.operator, node: "node1" });
  const tagNow = context?.images.operator.split(":").at(-1) ?? "";

  beforeAll(async () => {
    cluster = new Cluster(context!);
    if (!process.env["NEXUS_E2E_IMAGES_LOADED"]) await cluster.loadImages(await makeImages(next));
    // One that another file left would hold what this one upgrades.
    await cluster.tryKubectl(["-n", operatorNamespace, "delete", "deployment", "nexus-operator", "--ignore-not-found"]);
    const flags = ["--create-namespace", "--take-ownership", "--wait", "--timeout", "2m"];
    await cluster.helm([
      "install",
      "upgrade",
      `${root}/charts/nexus`,
      ...system,
      ...flags,
      "--set",
      `image.tag=${tagNow}`,
    ]);
    federation = await Federation.apply(cluster, namespace);
    await federation.settled();
  });
  afterAll(async () => {
    await federation?.remove();
    await cluster?.helm(["uninstall", "upgrade", ...system, "--ignore-not-found"]);
  });

  const podUids = () => Promise.all(voters.map(async (box) => (await federation.get(`pod/${box}-0`)).metadata.uid));
  /** What each data box says it runs; a witness is asked by nobody but its leader. */
  const versions = async () =>
    (await federation.all("boxes")).flatMap(({ metadata, status }) => {
      const { version } = status as { version?: string };
      return version === undefined ? [] : [`${metadata.name} ${version}`];
    });
  const images = (tag: string) => ({ node: `nexus-node:${tag}`, witness: `nexus-witness:${tag}` });
  const federationWith = (image: object) =>
    federation.run(
      ["apply", "-f", "-"],
      JSON.stringify({
        apiVersion: "federation.nexus.io/v1alpha1",
        kind: "Federation",
        metadata: { name: "federation" },
        spec: { trustDomain: namespace, image },
      }),
    );
  /** Rolls to those images under load; no call fails, the leader of all its logs goes last, a majority is always up. */
  async function roll(tag: string, version: string): Promise<void> {
    const leader = await federation.leader();
    const rollout = await Rollout.watch(federation, voters);
    try {
      await underLoad(federation, use(), async (load) => {
        await federationWith(images(tag));
        const said = async () => (await versions()).join() === `nexus-1 ${version},nexus-2 ${version}`;
        const why = () => JSON.stringify(rollout.replaced);
        await until(`version ${version} of both boxes`, said, { withinMs: 240_000, everyMs: 500, why });
        await until("another pod of each", async () => rollout.replaced.length >= 3, {
          withinMs: 120_000,
          everyMs: 200,
          why,
        });
        await federation.settled(240_000);
        await furtherWrites(load);
      });
    } finally {
      rollout.stop();
    }

    expect([...rollout.replaced].sort()).toEqual(voters);
    expect(rollout.readyMin).toBe(2);
    expect(rollout.replaced.at(-1)).toBe(leader);
    const image = `nexus-node:${tag}`;
    const pods = (await federation.all("pods")) as unknown as { spec: { containers: { image: string }[] } }[];
    expect(pods.filter(({ spec }) => spec.containers[0]?.image === image)).toHaveLength(2);
  }

  test("the other operator restarts no box: each keeps the image that it was created with", async () => {
    expect(runbook).toContain("helm upgrade nexus charts/nexus -n nexus-system --reuse-values");
    const before = await podUids();
    await underLoad(federation, use(), async () => {
      const values = ["--reuse-values", "--set", `image.tag=${next.tag}`, "--wait", "--timeout", "2m"];
      await cluster.helm(["upgrade", "upgrade", `${root}/charts/nexus`, ...system, ...values]);
      await federation.settled();
    });

    expect(await podUids()).toEqual(before);
    expect(new Set((await versions()).map((said) => said.split(" ")[1]))).not.toContain(next.version);
  });

  test("the boxes follow Federation.image: followers first, the leader last, and no call of a client fails", async () => {
    expect(runbook).toContain("`spec.image.node` and `.witness` of the Federation");
    await roll(next.tag, next.version);
  });

  test("back to the version before, the same way", async () => {
    const { version } = JSON.parse(readFileSync(`${root}/package.json`, "utf8")) as { version: string };
    await roll(tagNow, version);
  });
});
