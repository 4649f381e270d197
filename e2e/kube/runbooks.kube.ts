// Runbooks executed: the lines that they tell people to type, while clients write.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { until } from "../cluster/programs.ts";
import { pluginOf } from "./harness/plugin.ts";
import { furtherWrites, underLoad } from "./harness/scenario.ts";
import { loseVolumes } from "./harness/volumes.ts";
import { worldOf } from "./harness/world.ts";

const context = inject("cluster");
const namespace = "runbooks";

/** A line of the runbook, with the names that it leaves to the reader put in. */
function lineOf(runbook: string, line: string, names: Record<string, string> = {}): string {
  const text = readFileSync(resolve(import.meta.dirname, `../../docs/runbooks/${runbook}.md`), "utf8");
  expect(text).toContain(line);
  return Object.entries({ "-n files": `-n ${namespace}`, ...names }).reduce(
    (told, [name, given]) => told.replaceAll(name, given),
    line,
  );
}

describe.skipIf(context === undefined)("runbooks", () => {
  const world = worldOf(context, namespace);
  const { shell } = pluginOf(context);
  const certificate = async (box: string) => {
    const { data } = (await world.federation.get(`secret/${box}-tls`)) as unknown as { data: Record<string, string> };
    return data["tls.crt"];
  };
  const podUid = async (box: string) => (await world.federation.get(`pod/${box}-0`)).metadata.uid;

  test("a certificate: what is deleted is issued again, and nothing is restarted", async () => {
    const [before, pod] = [await certificate("nexus-2"), await podUid("nexus-2")];

    await underLoad(world.federation, world.use, async (load) => {
      await shell(lineOf("certificate", "kubectl -n files get lease nexus-operator"));
      await shell(lineOf("certificate", "kubectl -n files delete secret BOX-tls", { BOX: "nexus-2" }));
      const again = async () => {
        const now = await certificate("nexus-2").catch(() => undefined);
        return now !== undefined && now !== before;
      };
      await until("another certificate", again, { withinMs: 60_000, everyMs: 500 });
      await furtherWrites(load);
      await world.federation.settled();
    });

    expect(await podUid("nexus-2")).toBe(pod);
  });

  test("a lost witness: its volume is replaced by itself in PAIR, and it stands in again", async () => {
    await underLoad(world.federation, world.use, async (load) => {
      const said = await shell(lineOf("lost-witness", "kubectl -n files get rg"));
      expect(said).toContain("PAIR");
      await loseVolumes(world.federation, ["witness-1"]);
      await world.federation
        .run(["wait", "--for=condition=Ready", "pod/witness-1-0", "--timeout=120s"])
        .catch(() => "");
      await world.federation.settled(240_000);
      await world.federation.run([
        "delete",
        "pod",
        `${await world.federation.leader()}-0`,
        "--grace-period=0",
        "--force",
      ]);
      await furtherWrites(load, 50);
      await world.federation.settled();
    });
  });

  test("a lost box: its volume is consented to, and it comes back as another incarnation", async () => {
    const box = (await world.federation.leader()) === "nexus-1" ? "nexus-2" : "nexus-1";
    const before = (await world.federation.get(`box/${box}`)).status?.incarnation;

    await underLoad(world.federation, world.use, async (load) => {
      await shell(lineOf("lost-box", "kubectl -n files get box,rg,zone"));
      const consent =
        "kubectl -n files annotate box nexus-cn-01 federation.nexus.io/replace-volume=$(kubectl -n files get pvc nexus-cn-01-data -o jsonpath='{.metadata.uid}')";
      await shell(lineOf("lost-box", consent, { "nexus-cn-01": box }));
      await loseVolumes(world.federation, [box]);
      const another = async () => {
        const now = (await world.federation.get(`box/${box}`)).status?.incarnation;
        return now !== undefined && now !== before;
      };
      await until("another incarnation", another, { withinMs: 120_000, everyMs: 500 });
      await furtherWrites(load);
      await world.federation.settled(240_000);
    });
  });
});
