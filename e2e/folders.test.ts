import { cpSync, renameSync, rmSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { until } from "./harness/run.ts";
import { box, documents, systemGroup, zone } from "./harness/yaml.ts";

let federation: Federation | undefined;
afterEach(async () => {
  expect(await federation?.down()).toEqual([]);
  federation = undefined;
});

test("boxes whose folders were exchanged do not start, say whose folder it is, and go on once they are put back", async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
  const { folder } = federation;
  await federation.client().put("/kept", "here");
  await federation.ok(["down"]);
  const exchange = () => {
    const [one, two] = [folder.box("nexus-1"), folder.box("nexus-2")];
    renameSync(one, `${one}.x`);
    renameSync(two, one);
    renameSync(`${one}.x`, two);
  };
  exchange();

  const started = federation.start();
  await until(
    "both say why",
    async () => {
      const { boxes } = await federation!.status();
      const said = boxes.map((box) => `${box.name} ${box.problems.join("; ")}`).join("\n");
      return (
        /nexus-1 .*boxes\/nexus-1 holds the data of box nexus-2 of/.test(said) &&
        /nexus-2 .*data of box nexus-1 of/.test(said)
      );
    },
    90_000,
  );
  expect((await federation.nexus(["get", "/kept", "--timeout", "2s"])).code).toBe(1);

  exchange();
  expect(await started).toMatchObject({ code: 0 });
  expect((await federation.ok(["get", "/kept"])).stdout).toBe("here");
});

test("a box on a folder of another federation does not start and says so, the others serve, and emptied it begins anew", async () => {
  const name =
    "apiVersion: federation.nexus.io/v1alpha1\nkind: Federation\nmetadata: { name: federation }\nspec: { trustDomain: other }\n";
  const root = zone("root", "/**", "mode: strong, authorityBox: nexus-2");
  const other = await Federation.up({ yaml: documents(name, box("nexus-2"), systemGroup("main", ["nexus-2"]), root) });
  try {
    await other.client().put("/strange", "not ours");
    await other.ok(["down"]);
    federation = await Federation.up({ example: "quickstart.yaml" });
    const { folder } = federation;
    await federation.client().put("/kept", "here");
    await federation.ok(["down"]);
    rmSync(folder.box("nexus-2"), { recursive: true });
    cpSync(other.folder.box("nexus-2"), folder.box("nexus-2"), { recursive: true });
  } finally {
    expect(await other.down()).toEqual([]);
  }

  const started = federation.start();
  await until(
    "the box says whose data it is",
    async () => /data of box nexus-2 of federation other/.test((await federation!.box("nexus-2")).problems.join()),
    90_000,
  );
  expect((await federation.ok(["get", "/kept", "--timeout", "60s"], { timeoutMs: 90_000 })).stdout).toBe("here");
  await until(
    "doctor says so too",
    async () => {
      const { code, stdout } = await federation!.nexus(["doctor"]);
      return code === 1 && /WRONG {2}nexus-2 does not serve: .*of federation other/.test(stdout);
    },
    90_000,
  );

  rmSync(federation.folder.box("nexus-2"), { recursive: true });
  await started;
  await federation.whole("root", 120_000);
  expect((await federation.nexus(["get", "/strange"])).stderr).toContain("NOT_FOUND");
  expect((await federation.ok(["get", "/kept"])).stdout).toBe("here");
});
