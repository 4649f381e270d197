import { expect, test } from "vitest";
import { askedOf } from "./command-line.ts";
import { nexusProgram } from "./program.ts";

test("help is asked only of verbs that exist", () => {
  const program = nexusProgram();
  const kept = (...words: string[]) => askedOf(program, ["node", "nexus", ...words]).slice(2);

  expect(kept("frobnicate", "--help")).toEqual(["frobnicate"]);
  expect(kept("--dir", "x", "frobnicate", "-h")).toEqual(["--dir", "x", "frobnicate"]);
  expect(kept("raft", "nonsense", "--help")).toEqual(["raft", "nonsense"]);
  for (const good of [["--help"], ["put", "--help"], ["--dir", "x", "put", "-h"], ["raft", "--help"]])
    expect(kept(...good)).toEqual(good);
  expect(kept("lock", "/a", "--", "frob", "--help")).toEqual(["lock", "/a", "--", "frob", "--help"]);
});
