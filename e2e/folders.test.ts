import { renameSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { until } from "./harness/run.ts";

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
