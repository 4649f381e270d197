// A backup taken by a job of the cluster, and the drill: a federation in another namespace made from it. What people type
// goes through `kubectl nexus`, which reaches the pods by port-forward.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, inject, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { must, until } from "../cluster/programs.ts";
import { Federation } from "./harness/operator.ts";
import { pluginOf } from "./harness/plugin.ts";
import { furtherWrites, underLoad } from "./harness/scenario.ts";
import { placeOf } from "./harness/volumes.ts";
import { worldOf } from "./harness/world.ts";

const context = inject("cluster");
const root = resolve(import.meta.dirname, "../..");

describe.skipIf((context?.nodes.length ?? 0) === 0)("a backup in the cluster and its restore beside it", () => {
  const world = worldOf(context, "backup");
  const folder = mkdtempSync(join(tmpdir(), "nexus-backup-"));
  const file = join(folder, "root.backup");
  const { nexus, run: plugin } = pluginOf(context);
  let drill: Federation;

  afterAll(async () => {
    await drill?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test("kubectl nexus puts, gets, lists, locks and switches over on running pods", async () => {
    const { federation } = world;
    await nexus("backup", ["put", "/docs/precious.txt", "-"], "precious");

    expect(await nexus("backup", ["get", "/docs/precious.txt"])).toBe("precious");
    expect(await nexus("backup", ["ls", "/docs"])).toContain("precious.txt");
    expect(await nexus("backup", ["status"])).toMatch(/^ConsensusZone\/root +True/m);
    const locked = await plugin("backup", [
      "lock",
      "/jobs/nightly",
      "--",
      "/bin/sh",
      "-c",
      "test $NEXUS_FENCE && echo held",
    ]);
    expect(locked.stdout).toContain("held");

    const before = await federation.leader();
    await nexus("backup", ["switchover", "root"]);
    const another = async () => !["", before].includes(await federation.leader());
    await until("another leader in the zone's status", another, { withinMs: 60_000, everyMs: 500 });
  });

  test("the example's CronJob writes a file while clients write", async () => {
    const { federation } = world;
    const text = readFileSync(join(root, "examples/kubernetes/backup.yaml"), "utf8");
    const items = parseAllDocuments(text.replace("nexus-operator:dev", context!.images.operator)).map((each) =>
      each.toJS(),
    );
    await federation.run(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }));

    await underLoad(federation, world.use, async (load) => {
      await federation.run(["create", "job", "--from=cronjob/backup-root", "backup-root-now"]);
      await furtherWrites(load, 50);
      await federation.run(["wait", "--for=condition=Complete", "job/backup-root-now", "--timeout=180s"]);
    });

    const { container, path } = await placeOf(federation, "pvc/backups");
    writeFileSync(
      file,
      Buffer.from(await must(["docker", "exec", container, "base64", `${path}/backup-root-now.backup`]), "base64"),
    );
    expect(readFileSync(file).subarray(0, 8).toString()).toBe("NEXUSBK1");
  });

  test("a federation in another namespace is made from it and is then declared as the first was", async () => {
    const documents = parseAllDocuments(readFileSync(join(root, "examples/quickstart.yaml"), "utf8")).map((each) =>
      each.toJS(),
    );
    const isZone = (each: { kind: string }) => each.kind === "ConsensusZone";
    drill = await Federation.empty(world.cluster, "drill");
    const apply = (items: object[]) =>
      drill.run(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }));
    await apply(documents.filter((each) => !isZone(each)));
    await drill.settled();

    await nexus("drill", ["restore", "root", file]);
    expect(await nexus("drill", ["get", "/docs/precious.txt"])).toBe("precious");
    await apply(documents.filter(isZone));
    await drill.settled();

    expect(await nexus("drill", ["get", "/docs/precious.txt"])).toBe("precious");
    await nexus("drill", ["put", "/docs/new.txt", "-"], "new");
    expect((await plugin("backup", ["get", "/docs/new.txt"])).code).toBe(1);
  });
});
