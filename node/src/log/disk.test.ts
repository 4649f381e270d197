import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import type { Disk } from "./disk.ts";
import { MemoryDisk } from "./disk-memory.ts";
import { NodeDisk } from "./disk-node.ts";

const folder = mkdtempSync(join(tmpdir(), "nexus-disk-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const disks: [string, () => Disk][] = [
  ["MemoryDisk", () => new MemoryDisk()],
  ["NodeDisk", () => new NodeDisk(mkdtempSync(join(folder, "disk-")))],
];

describe.each(disks)("the Disk port as %s", (_name, makeDisk) => {
  test("a made file is zero-filled, listed and of its size", async () => {
    const disk = makeDisk();

    const file = await disk.open("a", { createBytes: 3000 });

    expect(file.sizeBytes).toBe(3000);
    expect(await file.read(0, 5000)).toEqual(new Uint8Array(3000));
    expect(await disk.list()).toEqual(["a"]);
    await file.close();
  });

  test("written bytes are read back by another handle, and only up to the end of the file", async () => {
    const disk = makeDisk();
    const file = await disk.open("a", { createBytes: 100 });

    await file.write(90, new Uint8Array(10).fill(7));

    const again = await disk.open("a");
    expect(await again.read(88, 100)).toEqual(Uint8Array.from([0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]));
    await file.close();
    await again.close();
  });

  test("making a file again empties it", async () => {
    const disk = makeDisk();
    const first = await disk.open("a", { createBytes: 10 });
    await first.write(0, new Uint8Array(10).fill(1));

    const second = await disk.open("a", { createBytes: 4 });

    expect(await second.read(0, 10)).toEqual(new Uint8Array(4));
    await first.close();
    await second.close();
  });

  test("an absent file is NOT_FOUND to open and no error to remove", async () => {
    const disk = makeDisk();

    await expect(disk.open("a")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await disk.remove("a");
  });

  test("a removed file is gone from the list", async () => {
    const disk = makeDisk();
    await (await disk.open("a", { createBytes: 10 })).close();
    await (await disk.open("b", { createBytes: 10 })).close();

    await disk.remove("a");

    expect(await disk.list()).toEqual(["b"]);
    expect(await disk.freeBytes()).toBeGreaterThan(0);
  });
});

describe("MemoryDisk", () => {
  test("refuses a file that does not fit with DISK_FULL and leaves none behind", async () => {
    const disk = new MemoryDisk({ capacityBytes: 100 });

    await expect(disk.open("a", { createBytes: 101 })).rejects.toMatchObject({ code: "DISK_FULL" });

    expect(await disk.list()).toEqual([]);
  });

  test("a write that was not acknowledged is lost, whole or torn after a crash", async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const disk = new MemoryDisk();
      const file = await disk.open("a", { createBytes: 4096 });
      disk.stall();
      void file.write(0, new Uint8Array(4096).fill(1));

      disk.crash(seededRandom(seed));

      const ones = disk.files.get("a")!.reduce((sum, byte) => sum + byte, 0);
      seen.add(ones === 0 ? "lost" : ones === 4096 ? "whole" : "torn");
    }
    expect([...seen].sort()).toEqual(["lost", "torn", "whole"]);
  });
});
