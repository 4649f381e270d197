// Part of `npm run gen`, after the generator: a map's entry becomes a key of its object whatever it is called. Assigned,
// "__proto__" would be dropped without a word, and so acknowledged to whoever wrote it.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "gen/nexus/v1");
const assignment = /^( +)(message\.\w+)\[(entry\d+)\.key\] = \3\.value;$/gm;

for (const name of readdirSync(folder)) {
  const path = join(folder, name);
  const text = readFileSync(path, "utf8");
  const kept = text.replace(assignment, (assigned: string, indent: string, map: string, entry: string) =>
    [
      `${indent}if (${entry}.key !== "__proto__") ${assigned.trim()}`,
      `${indent}else {`,
      `${indent}  const own = { value: ${entry}.value, enumerable: true, configurable: true, writable: true };`,
      `${indent}  globalThis.Object.defineProperty(${map}, ${entry}.key, own);`,
      `${indent}}`,
    ].join("\n"),
  );
  if (kept !== text) writeFileSync(path, kept);
}
