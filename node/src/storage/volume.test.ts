import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { claimVolume } from "./volume.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nexus-volume-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const has = (...path: string[]) => existsSync(join(folder, ...path));

test("an empty volume is new, and known from then on", () => {
  expect(claimVolume(folder, "a")).toBe("new");
  writeFileSync(join(folder, "log"), "entries");

  expect(claimVolume(folder, "a")).toBe("known");
  expect(has("log")).toBe(true);
});

test("content from before volumes were marked is taken as this volume's", () => {
  writeFileSync(join(folder, "log"), "entries");

  expect(claimVolume(folder, "a")).toBe("known");
  expect(claimVolume(folder, "a")).toBe("known");
});

test("another volume's content is put aside, but for what proves itself", () => {
  claimVolume(folder, "a");
  writeFileSync(join(folder, "log"), "entries");
  writeFileSync(join(folder, "chunks"), "content");

  expect(claimVolume(folder, "b", ["chunks"])).toBe("other");

  expect([has("log"), has("chunks")]).toEqual([false, true]);
  expect(readFileSync(join(folder, "other-volume", "of-a", "log"), "utf8")).toBe("entries");
  expect(claimVolume(folder, "b", ["chunks"])).toBe("known");
});

test("only the last other volume is kept", () => {
  claimVolume(folder, "a");
  writeFileSync(join(folder, "log"), "of a");
  claimVolume(folder, "b");
  writeFileSync(join(folder, "log"), "of b");

  claimVolume(folder, "c");

  expect([has("other-volume", "of-a"), has("other-volume", "of-b", "log")]).toEqual([false, true]);
});

test("a kill between two moves loses nothing: the next start goes on", () => {
  claimVolume(folder, "a");
  writeFileSync(join(folder, "log"), "entries");
  writeFileSync(join(folder, "state"), "values");
  claimVolume(folder, "b");
  // As if the mark and the second move had not been reached.
  writeFileSync(join(folder, "volume-uid"), "a\n");
  writeFileSync(join(folder, "state"), "values");

  claimVolume(folder, "b");

  expect([has("other-volume", "of-a", "log"), has("other-volume", "of-a", "state"), has("state")]).toEqual([
    true,
    true,
    false,
  ]);
});
