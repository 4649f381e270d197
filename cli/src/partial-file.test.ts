import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UsageError } from "./durations.ts";
import { PartialFile } from "./partial-file.ts";
import { saveAs } from "./verbs/trees.ts";

let dir: string;
let target: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "nexus-partial-"));
  target = join(dir, "file");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("two writers of one file have a partial file each, and the second to end is refused", async () => {
  const first = await PartialFile.open(target, { flush: true });
  const second = await PartialFile.open(target, { flush: true });
  expect(readdirSync(dir)).toHaveLength(2);
  first.out.write("first");
  second.out.write("second");

  await first.moveNew();
  await expect(second.moveNew()).rejects.toThrow(UsageError);
  second.drop();

  expect(readdirSync(dir)).toEqual(["file"]);
  expect(readFileSync(target, "utf8")).toBe("first");
});

test("two that save to one file at once leave the whole bytes of one of them", async () => {
  async function* parts(text: string) {
    for (let i = 0; i < 100; i++) yield Buffer.from(text.repeat(1000));
  }
  await Promise.all([saveAs(target, parts("a")), saveAs(target, parts("b"))]);

  expect(["a".repeat(100_000), "b".repeat(100_000)]).toContain(readFileSync(target, "utf8"));
  expect(readdirSync(dir)).toEqual(["file"]);
});

test("a file may have a name of full length", async () => {
  const long = join(dir, "n".repeat(255));
  await saveAs(
    long,
    (async function* () {
      yield Buffer.from("x");
    })(),
  );
  expect(readFileSync(long, "utf8")).toBe("x");
});

test("what cannot be had whole leaves the old file and nothing beside it", async () => {
  writeFileSync(target, "old");
  async function* broken() {
    yield Buffer.from("half");
    throw new Error("the box is gone");
  }
  await expect(saveAs(target, broken())).rejects.toThrow("the box is gone");

  expect(readFileSync(target, "utf8")).toBe("old");
  expect(readdirSync(dir)).toEqual(["file"]);
});

test("a folder that is not there is the error of the system, and no signal is caught any more", async () => {
  const before = process.listenerCount("SIGINT");
  await expect(PartialFile.open(join(dir, "none", "file"))).rejects.toThrow(/ENOENT/);
  expect(process.listenerCount("SIGINT")).toBe(before);
});

test.each(["SIGINT", "SIGTERM"] as const)("%s removes the partial file and ends the process by it", async (signal) => {
  const script = `
    const { PartialFile } = await import(${JSON.stringify(join(import.meta.dirname, "partial-file.ts"))});
    const partial = await PartialFile.open(${JSON.stringify(target)});
    partial.out.write("half", () => console.log("written"));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const gone = once(child, "exit");
  await Promise.race([once(child.stdout, "data"), gone]);
  expect(readdirSync(dir)).toHaveLength(1);

  child.kill(signal);

  expect(await gone).toEqual([null, signal]);
  expect(existsSync(dir) && readdirSync(dir)).toEqual([]);
});
