import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { claimFor } from "./owner.ts";

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
