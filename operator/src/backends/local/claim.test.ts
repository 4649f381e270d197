import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { claimant, claimFolder } from "./claim.ts";
import { Folder } from "./folder.ts";
import { startTimeOf } from "./process-info.ts";

let folder: Folder;
beforeEach(() => {
  folder = new Folder(mkdtempSync(join(tmpdir(), "nexus-claim-")));
  folder.create();
});
afterEach(() => rmSync(folder.root, { recursive: true, force: true }));

test("a folder is one supervisor's until it lets go", () => {
  const release = claimFolder(folder);

  expect(() => claimFolder(folder)).toThrow(`is up already, run by pid ${process.pid}`);
  release();
  expect(existsSync(folder.claim)).toBe(false);
  claimFolder(folder)();
});

test("a claim of another living process stands, although nothing answers there", async () => {
  const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  try {
    writeFileSync(folder.claim, JSON.stringify({ pid: other.pid, startTime: startTimeOf(other.pid!) }));

    expect(() => claimFolder(folder)).toThrow(`pid ${other.pid}`);
  } finally {
    other.kill("SIGKILL");
    await once(other, "exit");
  }
  claimFolder(folder)();
});

test("claims of dead processes, of reused pids and of broken files are cleared away", () => {
  for (const left of [JSON.stringify({ pid: process.pid, startTime: "1" }), "{", ""]) {
    writeFileSync(folder.claim, left);
    const release = claimFolder(folder);
    expect(claimant(folder)?.pid).toBe(process.pid);
    release();
  }
});
