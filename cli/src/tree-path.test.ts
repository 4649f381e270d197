import { expect, test } from "vitest";
import { folderPath, intoFolder } from "./tree-path.ts";

test("a folder may be typed with one slash behind it", () => {
  expect(["/", "/a", "/a/", "/a//"].map(folderPath)).toEqual(["/", "/a", "/a", "/a/"]);
});

test("a target that ends with a slash takes what comes under its own name", () => {
  expect(intoFolder("/a/", "x")).toBe("/a/x");
  expect(intoFolder("/", "x")).toBe("/x");
  expect(intoFolder("/a", "x")).toBe("/a");
  expect(() => intoFolder("/a/", "")).toThrow("needs a name");
});
