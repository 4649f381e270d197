import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { helpOf, readFrom } from "./flags.ts";

const script = {
  command: "try",
  about: "Tries.",
  flags: {
    seeds: { about: "seeds to run", count: 200 },
    kind: { about: "of one kind", value: "NAME" },
    out: { about: "goes there", value: "FOLDER", default: "out" },
    keep: { about: "goes on" },
  },
  words: { once: "only once" },
};

describe("flags of a script", () => {
  test("are read with their types, and what is not given is what the help says", () => {
    expect(readFrom([], script)).toEqual({
      flags: { seeds: 200, kind: undefined, out: "out", keep: false },
      word: undefined,
    });
    expect(readFrom(["once", "--seeds", "7", "--kind=x", "--keep"], script)).toMatchObject({
      flags: { seeds: 7, kind: "x", keep: true },
      word: "once",
    });
  });

  test.each([
    [["--sedes", "7"], "Unknown option '--sedes'"],
    [["--seeds"], "Option '--seeds <value>' argument missing"],
    [["--seeds", "many"], '--seeds: a whole number from 1 is expected, not "many"'],
    [["--seeds", "0"], '--seeds: a whole number from 1 is expected, not "0"'],
    [["--keep=yes"], "Option '--keep' does not take an argument"],
    [["twice"], '"twice" is not understood'],
    [["once", "more"], '"more": one word is enough'],
  ])("%j is one sentence", (argv, sentence) => {
    expect(() => readFrom(argv, script)).toThrow(new Error(sentence));
  });

  test("help is asked for by --help, whatever else stands there", () => {
    expect(readFrom(["--nonsense", "--help"], script)).toBeUndefined();
    expect(helpOf(script)).toContain("  --seeds N     seeds to run (200)\n");
  });
});

const root = resolve(import.meta.dirname, "..");
const scripts = [
  "node/src/sim/main.ts",
  "node/src/sim/mutants.ts",
  "bench/main.ts",
  "bench/profile.ts",
  "e2e/faults/main.ts",
  "test/run.ts",
  "images/make.ts",
  "images/bundle.ts",
  "e2e/cluster/main.ts",
  "e2e/scale/main.ts",
];

describe.each(scripts)("%s", (name) => {
  const run = (...argv: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, name), ...argv], { encoding: "utf8" });
    return { status, stdout, stderr: stderr.replace(/^\(.*\n/gm, "") };
  };

  test("says what it does and what it takes", () => {
    expect(run("--help")).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/OPTIONS[\s\S]*--help/),
      stderr: "",
    });
  });

  test("answers what it does not know with one sentence and 2", () => {
    const { status, stdout, stderr } = run("--nonsense");

    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^Unknown option '--nonsense'; .* --help lists what there is\n$/);
  });
});
