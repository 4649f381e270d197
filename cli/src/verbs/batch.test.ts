import { expect, test } from "vitest";
import { readOperations } from "./batch.ts";

test("a batch is one JSON list, or one object a line with empty lines between", () => {
  const list = readOperations('[{"op":"mkdir","path":"/a"},{"op":"delete","path":"/b"}]');
  const lines = readOperations('\n{"op":"mkdir","path":"/a"}\n\n{"op":"delete","path":"/b"}\n');

  expect(lines).toEqual(list);
});

test("every operation but mkdir takes conditions, and metadata can be changed", () => {
  const etag = "ab".repeat(32);
  const given = [
    { op: "write", path: "/a", content: "x", metadata: { k: "v" }, ifNoneMatch: true },
    { op: "metadata", path: "/a", set: { k: "v" }, remove: ["old"], ifMatch: etag },
    { op: "move", from: "/a", to: "/b", ifRevision: 3 },
    { op: "delete", path: "/b", fence: "1", lockPath: "/l" },
  ];

  expect(readOperations(JSON.stringify(given))).toEqual(given);
  expect(() => readOperations('{"op":"mkdir","path":"/a","ifNoneMatch":true}')).toThrow(/^line 1: Unrecognized key/);
});

test.each([
  ["", "no operation came"],
  ["{", "batch: line 1: expected JSON"],
  ['{"op":"mkdir","path":"/a"}\n{"op":"mk"}', /^line 2/],
  ['{"op":"write","path":"/a","metadata":{"__proto__":"x"}}', /^line 1\.metadata: "__proto__"/],
  ['{"op":"metadata","path":"/a","set":{"__proto__":"x"}}', /^line 1\.set: "__proto__"/],
  ['[{"op":"write"}]', /^operations\[0\]\.path/],
  ['{"op":"write","path":"/a","ifMatch":"x"}', "expected an etag"],
])("%j is refused, saying where", (text, why) => {
  expect(() => readOperations(text)).toThrow(why);
});
