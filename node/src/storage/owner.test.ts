import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { claimDisk, claimFor } from "./owner.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "nexus-owner-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const claim = (folder: string, box: string, federation = "f") => claimFor(join(root, folder), { federation, box });

test("a folder belongs to the box that first started on it, wherever it is moved", () => {
  claim("a", "a");
  renameSync(join(root, "a"), join(root, "b"));

  expect(() => claim("b", "b")).toThrow(/holds the data of box a of federation f, not of box b of federation f: bring/);
  claim("b", "a");
});

test("the same name in another federation is another box", () => {
  claim("a", "a");

  expect(() => claim("a", "a", "other")).toThrow(/box a of federation f, not of box a of federation other/);
});

test("content from before owners were written is taken as the box's", () => {
  claim("a", "a");
  rmSync(join(root, "a", "owner"));
  writeFileSync(join(root, "a", "log"), "entries");

  claim("a", "a");

  expect(existsSync(join(root, "a", "owner"))).toBe(true);
  expect(() => claim("a", "b")).toThrow(/box a/);
});

test("a disk that was exchanged for another box's is refused and left as it is, whatever volume it is on", () => {
  const folder = join(root, "disk");
  claimDisk(folder, { federation: "f", box: "a" }, { volumeUid: "1" });
  writeFileSync(join(folder, "log"), "of a");

  expect(() => claimDisk(folder, { federation: "f", box: "b" }, { volumeUid: "2" })).toThrow(/data of box a/);
  expect(() => claimDisk(folder, { federation: "f", box: "b" }, { volumeUid: "" })).toThrow(/data of box a/);

  expect(claimDisk(folder, { federation: "f", box: "a" }, { volumeUid: "1" })).toBe("known");
  expect(existsSync(join(folder, "log"))).toBe(true);
  expect(claimDisk(folder, { federation: "f", box: "a" }, { volumeUid: "3" })).toBe("other");
  expect(existsSync(join(folder, "log"))).toBe(false);
  expect(() => claimFor(folder, { federation: "f", box: "b" })).toThrow(/data of box a/);
});

test("an empty disk is new", () => {
  expect(claimDisk(join(root, "empty"), { federation: "f", box: "a" }, { volumeUid: "1" })).toBe("new");
});
