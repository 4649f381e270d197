// npm run gen: reference pages of the command line and of HTTP.
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { referencePages } from "./reference.ts";

const root = resolve(import.meta.dirname, "../../..");
for (const [path, text] of await referencePages()) {
  writeFileSync(join(root, path), text);
  console.log(path);
}
