// npm run gen: CRDs and reference pages.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { generated } from "./outputs.ts";

const root = resolve(import.meta.dirname, "../../..");
for (const [path, text] of generated()) {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  console.log(path);
}
