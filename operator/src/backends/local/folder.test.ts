import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Folder } from "./folder.ts";

test("a federation's folder is made with all that lead to it, and is its owner's alone", () => {
  const base = mkdtempSync(join(tmpdir(), "nexus-folder-"));
  try {
    const folder = new Folder(join(base, "a", "b"));

    folder.create();
    folder.create();

    expect(statSync(folder.root).mode & 0o777).toBe(0o700);
    expect(existsSync(join(folder.root, "certs"))).toBe(true);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
});

/** In a process of its own: what it guards against never returned. */
const create = `import { Folder } from ${JSON.stringify(join(import.meta.dirname, "folder.ts"))};
try { new Folder("/proc/nexus/f").create(); } catch (error) { process.stdout.write(error.code); }`;

test.skipIf(!existsSync("/proc/self"))("where no folder can be made, that is told", () => {
  const args = ["--input-type=module-typescript", "-e", create];

  expect(execFileSync(process.execPath, args, { timeout: 30_000, encoding: "utf8" })).toBe("ENOENT");
});
