import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { nexusProgram } from "../program.ts";
import { referencePages } from "./reference.ts";

const root = resolve(import.meta.dirname, "../../..");

test("the reference pages are what npm run gen makes", async () => {
  for (const [path, text] of await referencePages()) expect(readFileSync(join(root, path), "utf8"), path).toBe(text);
});

test("every verb and every option says what it is for", () => {
  const check = (command: ReturnType<typeof nexusProgram>): void => {
    expect(command.description(), command.name()).not.toBe("");
    for (const option of command.options) expect(option.description, option.flags).not.toBe("");
    for (const below of command.commands) check(below);
  };
  check(nexusProgram());
});
