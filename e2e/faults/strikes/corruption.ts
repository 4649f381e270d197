import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { endOf, flip } from "../../harness/damage.ts";
import { dataBoxes, pick } from "../scenario.ts";
import type { Strike } from "./strike.ts";

/** Always the same one: what the other box holds must be enough. */
const box = dataBoxes[1];
const kinds = ["log", "state", "chunks"] as const;

/** Files of the kind with something in them. */
function filesOf(folder: string, kind: (typeof kinds)[number]): string[] {
  return readdirSync(join(folder, kind), { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, kind, name))
    .filter((file) => statSync(file).isFile() && (kind !== "state" || /\.(sst|log)$/.test(file)))
    .filter((file) => endOf(file) > 200);
}

export const corruption: Strike = {
  name: "corruption",
  about: "kill -9 of a data box and a flipped byte in its log, its state or its chunks",
  async strike(world) {
    const { federation, random } = world;
    const kind = pick(random, kinds);
    await federation.damage(box, (folder) => {
      const files = filesOf(folder, kind);
      if (files.length === 0) return;
      const file = pick(random, files);
      flip(file, Math.floor(endOf(file) * (0.1 + 0.8 * random.unit())));
    });
    return async () => {};
  },
};
