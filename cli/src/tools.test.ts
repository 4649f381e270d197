import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { adviceOf, systemSentence } from "./tools.ts";
import { readFiles } from "./verbs/runtime.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "nexus-tools-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function failureOf(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}

test("a fault of this machine's files is one sentence with the path", () => {
  const loop = join(dir, "loop");
  symlinkSync(loop, loop);
  writeFileSync(join(dir, "file"), "x");

  expect(systemSentence(failureOf(() => readFileSync(dir)))).toMatch(/is a folder, a file is expected/);
  expect(systemSentence(failureOf(() => readFileSync(loop)))).toBe(`${loop}: a symbolic link leads to itself`);
  expect(systemSentence(failureOf(() => readFileSync(join(dir, "file", "x"))))).toMatch(
    /a part of the path is no folder/,
  );
});

test("a mistake of the program is not taken for a fault of the machine", () => {
  expect(systemSentence(new TypeError("Cannot read properties of undefined"))).toBeUndefined();
  expect(
    systemSentence(Object.assign(new Error("unknown option"), { code: "commander.unknownOption" })),
  ).toBeUndefined();
  expect(systemSentence("text")).toBeUndefined();
});

test("a resource file that cannot be read is named with the reason", async () => {
  await expect(readFiles([dir])).rejects.toThrow(`${dir}: is a folder, a file is expected`);
  await expect(readFiles([join(dir, "absent.yaml")])).rejects.toThrow(
    `${join(dir, "absent.yaml")}: no such file or folder`,
  );
});

test("advice names the verbs and options that help", () => {
  expect(adviceOf("WRONG_TYPE", "get")).toMatch(/nexus stat .*ls, get -r/);
  expect(adviceOf("NO_ZONE", "put")).toContain("nexus zone ls");
  expect(adviceOf("NOT_FOUND", "mkdir")).toContain("mkdir -p");
  expect(adviceOf("NOT_FOUND", "get")).toContain("nexus ls");
  expect(adviceOf("ALREADY_EXISTS", "mv")).toContain("-f");
  expect(adviceOf("ALREADY_EXISTS", "restore")).not.toMatch(/path|-f/);
});
