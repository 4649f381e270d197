import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { History, readHistory } from "./history.ts";
import { wrongPaths } from "./linearizable.ts";

const begin = { client: 1, path: "/r", value: "", expected: "" };

test("a read that overlaps a write may see either value, a later one only the new", () => {
  const history = new History();
  const write = history.invoke({ ...begin, kind: "write", value: "a" });
  const early = history.invoke({ ...begin, kind: "read" });
  history.complete(early, { outcome: "ok", value: "" });
  history.complete(write, { outcome: "ok" });
  expect(wrongPaths(history.lines)).toEqual([]);

  const late = history.invoke({ ...begin, kind: "read" });
  history.complete(late, { outcome: "ok", value: "" });
  expect(wrongPaths(history.lines)).toEqual(["/r"]);
});

test("a write of unknown fate may show itself later or never, but not come and go", () => {
  const history = new History();
  const first = history.invoke({ ...begin, kind: "write", value: "a" });
  history.complete(first, { outcome: "ok" });
  history.invoke({ ...begin, kind: "write", value: "b" });
  const read = (value: string) =>
    history.complete(history.invoke({ ...begin, kind: "read" }), { outcome: "ok", value });
  read("a");
  read("b");
  expect(wrongPaths(history.lines)).toEqual([]);
  read("a");
  expect(wrongPaths(history.lines)).toEqual(["/r"]);
});

test("a history written as lines reads back the same", () => {
  const folder = mkdtempSync(join(tmpdir(), "nexus-history-"));
  const history = new History();
  history.complete(history.invoke({ ...begin, kind: "cas", value: "b", expected: "a" }), {
    outcome: "failed",
    code: "PRECONDITION_FAILED",
  });
  history.write(join(folder, "history.jsonl"));
  expect(readHistory(join(folder, "history.jsonl"))).toEqual(history.lines);
  rmSync(folder, { recursive: true });
});
