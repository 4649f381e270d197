import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { checkout } from "./harness/run.ts";

/** Paths that each example serves, and the objects of which it says that they are not built yet. */
const examples: Record<string, { paths: string[]; faults: string[] }> = {
  "quickstart.yaml": { paths: ["/a"], faults: [] },
  "strong.yaml": { paths: ["/a"], faults: [] },
  "strong-ha-3.yaml": { paths: ["/a"], faults: [] },
  "eventual.yaml": { paths: ["/a"], faults: [] },
  "mount.yaml": { paths: ["/a", "/models/a"], faults: ["Mount/models-for-agents"] },
  "quorum.yaml": { paths: ["/a"], faults: ["ConsensusZone/flags"] },
  "acme.yaml": {
    paths: ["/cn/a", "/us/a", "/eu/a", "/shared/cache/a", "/global/config/a", "/jobs/locks/a"],
    faults: [],
  },
};

test("every example has an expectation here", () => {
  const files = readdirSync(join(checkout, "examples")).filter((name) => name.endsWith(".yaml"));
  expect(files.sort()).toEqual(Object.keys(examples).sort());
});

test.each(Object.entries(examples))("%s starts, settles, and every box serves its paths", async (example, wanted) => {
  const federation = await Federation.up({ example, code: wanted.faults.length > 0 ? 1 : 0 });
  try {
    const status = await federation.status();
    expect(status.faults.map((fault) => fault.object)).toEqual(wanted.faults);
    for (const box of status.boxes.filter((each) => each.role === "Data")) {
      const client = await federation.clientOf(box.name);
      for (const path of wanted.paths) {
        const { receipt } = await client.put(path, `${box.name} ${path}`);
        const { content } = await client.get(path, { after: receipt.token });
        expect(Buffer.from(content).toString()).toBe(`${box.name} ${path}`);
      }
    }
  } finally {
    expect(await federation.down()).toEqual([]);
  }
});
