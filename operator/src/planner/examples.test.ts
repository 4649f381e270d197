import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { loadFiles, printFault } from "../api/load.ts";
import { referenceFaults } from "./faults.ts";
import { plan } from "./plan.ts";
import { desired } from "./testing/specs.ts";
import { World } from "./testing/world.ts";

const folder = resolve(import.meta.dirname, "../../../examples");
/** What each example shows that is not built yet. */
const stalled: Record<string, string[]> = {
  "quorum.yaml": ["ConsensusZone/flags"],
  "mount.yaml": ["Mount/models-for-agents"],
};

test.each(readdirSync(folder).filter((name) => name.endsWith(".yaml")))("example %s is good and converges", (name) => {
  const loaded = loadFiles([{ name, text: readFileSync(join(folder, name), "utf8") }]);
  if ("faults" in loaded) throw new Error(loaded.faults.map(printFault).join("\n"));
  const wanted = desired(...loaded.resources);
  const world = new World();

  for (let round = 0; round < 30; round++) {
    for (const action of plan(wanted, world.observe(), 0)) world.execute(action);
    world.settle();
  }

  expect([...referenceFaults(wanted).keys()]).toEqual(stalled[name] ?? []);
  expect(world.refused).toEqual([]);
  expect(plan(wanted, world.observe(), 0)).toEqual([]);
  const zones = loaded.resources.filter((resource) => resource.kind === "ConsensusZone").length;
  expect(world.rules).toHaveLength(name === "quorum.yaml" ? zones - 1 : zones);
});
