// The runbook of a full disk executed: the leader's volume is a small disk that is filled, its zone is handed over, then the
// disk grows.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { must, until } from "../cluster/programs.ts";
import { pluginOf } from "./harness/plugin.ts";
import { furtherWrites, underLoad } from "./harness/scenario.ts";
import { placeOf } from "./harness/volumes.ts";
import { worldOf } from "./harness/world.ts";

const context = inject("cluster");
const namespace = "full";
const runbook = readFileSync(resolve(import.meta.dirname, "../../docs/runbooks/full-disk.md"), "utf8");
const box = "nexus-1";
const [smallMiB, grownMiB, leftMiB] = [700, 2_000, 100];

describe.skipIf((context?.nodes.length ?? 0) < 1)("a disk that is full", () => {
  const world = worldOf(context, namespace);
  const { shell, nexus } = pluginOf(context);

  const inNode = async (script: (path: string) => string) => {
    const { container, path } = await placeOf(world.federation, `pvc/${box}-data`);
    return must(["docker", "exec", container, "sh", "-c", script(path)]);
  };
  const annotate = (note: string) => world.federation.run(["annotate", "--overwrite", "box", box, note]);
  const pod = async () => (await world.federation.all("pods")).find(({ metadata }) => metadata.name === `${box}-0`);
  /** Puts what the box's volume holds on a disk of its own, of that size, while the box sleeps. */
  async function smallDisk(): Promise<void> {
    await annotate("federation.nexus.io/hibernate=true");
    await until("the end of its pod", async () => (await pod()) === undefined, { withinMs: 120_000, everyMs: 500 });
    await inNode(
      (path) =>
        `mkdir -p ${path}-kept && cp -a ${path}/. ${path}-kept/ && mount -t tmpfs -o size=${smallMiB}m tmpfs ${path} && cp -a ${path}-kept/. ${path}/ && chown --reference=${path}-kept ${path} && chmod --reference=${path}-kept ${path}`,
    );
    await annotate("federation.nexus.io/hibernate-");
    await world.federation.settled(180_000);
  }
  const isFull = async () => {
    const way = await world.cluster.forward(namespace, `pod/${box}-0`, 2029);
    try {
      const answer = await fetch(`http://127.0.0.1:${way.port}/metrics`, { headers: { connection: "close" } });
      return /^nexus_disk_full(\{[^}]*\})? 1$/m.test(await answer.text());
    } finally {
      way.stop();
    }
  };

  test("writes are refused with DISK_FULL, go on at the other box after a hand-over, and at both once there is space", async () => {
    await smallDisk();
    if ((await world.federation.leader()) !== box) await nexus(namespace, ["switchover", "root", box]);
    await until("leadership", async () => (await world.federation.leader()) === box, { withinMs: 60_000 });

    await underLoad(world.federation, { ...world.use, mayFail: true }, async (load) => {
      await inNode(
        (path) => `fallocate -l $(( ($(stat -f -c '%a*%S' ${path}) ) - ${leftMiB}*1024*1024 )) ${path}/ballast`,
      );
      const refused = async () => ((await load.now()).refused["DISK_FULL"] ?? 0) > 0;
      await until("a refusal", refused, { withinMs: 60_000, everyMs: 200 });
      expect(await isFull()).toBe(true);
      await world.federation.saying(`box/${box}`, "DiskPressure", /DiskPressure=True/);
      const refusal = await nexus(namespace, ["get", "/load"]).catch((error: Error) => error.message);
      expect(refusal).not.toContain("DISK_FULL");

      const line = "kubectl nexus -n files switchover ZONE";
      expect(runbook).toContain(line);
      await shell(line.replace("-n files", `-n ${namespace}`).replace("ZONE", "root"));
      await furtherWrites(load, 100);

      // What a class that lets volumes grow does under a running pod.
      await inNode((path) => `mount -o remount,size=${grownMiB}m ${path}`);
      await world.federation.saying(`box/${box}`, "DiskPressure", /DiskPressure=False/);
      expect(await isFull()).toBe(false);
      await nexus(namespace, ["switchover", "root", box]);
      await furtherWrites(load, 50);
      await world.federation.settled();
    });
  });
});
