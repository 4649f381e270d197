import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { dataBoxes, pick } from "../scenario.ts";
import type { Strike } from "./strike.ts";

/** Always the same one: what the other box holds must be enough. */
const box = dataBoxes[1];
const kinds = ["log", "state", "chunks"] as const;

/** Where the written part of a preallocated file ends. */
function endOf(file: string): number {
  const bytes = readFileSync(file);
  let at = bytes.length;
  while (at > 0 && bytes[at - 1] === 0) at--;
  return at;
}

function flip(file: string, at: number): void {
  const handle = openSync(file, "r+");
  const byte = Buffer.alloc(1);
  readSync(handle, byte, 0, 1, at);
  byte[0] = byte[0]! ^ 0x10;
  writeSync(handle, byte, 0, 1, at);
  closeSync(handle);
}

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
