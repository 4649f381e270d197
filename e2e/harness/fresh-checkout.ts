// A folder that looks like the checkout to its reader and holds no federation yet.
import { mkdtempSync, readdirSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkout } from "./run.ts";

export function freshCheckout(): string {
  const folder = mkdtempSync(join(tmpdir(), "nexus-tour-"));
  for (const name of readdirSync(checkout)) {
    if (name !== ".nexus" && name !== ".git") symlinkSync(join(checkout, name), join(folder, name));
  }
  return folder;
}
