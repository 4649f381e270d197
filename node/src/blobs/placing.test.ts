import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterAll, expect, test } from "vitest";
import { DiskTurns } from "./disk-turns.ts";
import { Placing } from "./placing.ts";

const roots: string[] = [];
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});

/** A folder with written files, and syncs that wait until they are let through. */
function bench() {
  const root = mkdtempSync(join(tmpdir(), "nexus-placing-"));
  roots.push(root);
  const asked: { folder: string; pass: () => void; fail: (error: Error) => void }[] = [];
  const sync = (folder: string) =>
    new Promise<void>((pass, fail) => asked.push({ folder: relative(root, folder), pass, fail }));
  const placing = new Placing(root, { sync: { sync }, disk: new DiskTurns() });
  const put = (name: string) => {
    const aside = join(root, name.replaceAll("/", "-"));
    writeFileSync(aside, name);
    return placing.place(aside, { folder: join(root, dirname(name)), path: join(root, name) });
  };
  const askedFor = async (count: number) => {
    while (asked.length < count) await new Promise((resolve) => setImmediate(resolve));
    return asked.map(({ folder }) => folder).sort();
  };
  return { root, asked, put, askedFor };
}

test("a chunk is in its place, and every folder that got a new name is durable, before its put ends", async () => {
  const { root, asked, put, askedFor } = bench();
  let isDone = false;
  const done = put("aa/bb/one").then(() => {
    isDone = true;
  });

  expect(await askedFor(3)).toEqual(["", "aa", "aa/bb"]);
  expect(existsSync(join(root, "aa/bb/one"))).toBe(true);
  for (const { pass } of asked.slice(0, 2)) pass();
  await new Promise((resolve) => setImmediate(resolve));
  expect(isDone).toBe(false);
  asked[2]!.pass();
  await done;

  asked.length = 0;
  const second = put("aa/bb/two");
  expect(await askedFor(1)).toEqual(["aa/bb"]);
  asked[0]!.pass();
  await second;
});

test("what comes while two batches are made durable is one batch, each folder of it synced once", async () => {
  const { asked, put, askedFor } = bench();
  const first = [put("aa/bb/1"), put("aa/bb/2")];
  await askedFor(6);
  const rest = ["cc/dd/3", "cc/dd/4", "cc/ee/5"].map(put);

  for (const { pass } of asked.splice(0)) pass();
  await Promise.all(first);

  expect(await askedFor(4)).toEqual(["", "cc", "cc/dd", "cc/ee"]);
  for (const { pass } of asked) pass();
  await Promise.all(rest);
});

test("a sync that fails fails its batch, and the folders are synced again for the next", async () => {
  const { asked, put, askedFor } = bench();
  const failed = put("aa/bb/one");
  await askedFor(3);
  for (const { fail } of asked.splice(0)) fail(new Error("no disk"));
  await expect(failed).rejects.toThrow("no disk");

  const again = put("aa/bb/one");
  expect(await askedFor(3)).toEqual(["", "aa", "aa/bb"]);
  for (const { pass } of asked) pass();
  await again;
});

test("a chunk that cannot be placed fails alone", async () => {
  const { root, asked, put, askedFor } = bench();
  writeFileSync(join(root, "ff"), "in the way");
  const fine = put("aa/bb/fine");
  const blocked = put("ff/bb/blocked");

  await expect(blocked).rejects.toThrow("ENOTDIR");
  expect(await askedFor(3)).toEqual(["", "aa", "aa/bb"]);
  for (const { pass } of asked) pass();
  await fine;
});

test("no more than five pieces of work are on the disk at once, and all are done in their order", async () => {
  const turns = new DiskTurns();
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const work = Array.from({ length: 8 }, (_, i) =>
    turns.run(() => {
      begun.push(i);
      return new Promise<void>((resolve) => ends.push(resolve));
    }),
  );
  await Promise.resolve();
  expect(begun).toEqual([0, 1, 2, 3, 4]);

  for (let i = 0; i < 8; i++) {
    while (ends.length === 0) await new Promise((resolve) => setImmediate(resolve));
    ends.shift()!();
  }
  await Promise.all(work);

  expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});
