import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { until } from "./harness/run.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("SKIPPED: full disks need a mount, so this suite runs as root only");

/** Leaves about so many bytes free. Answers how to give them back. */
function fill(folder: string, leaveBytes: number): () => void {
  const { bavail, bsize } = statfsSync(folder);
  const ballast = join(folder, "ballast");
  writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - leaveBytes)));
  return () => rmSync(ballast);
}

test.skipIf(!isRoot).each([["strong.yaml"], ["quickstart.yaml"]])(
  "%s: a full disk refuses writes with DISK_FULL, serves reads and deletes, and recovers when space is back",
  async (example) => {
    let folder = "";
    const made = await Federation.up({
      example,
      before: async (federation) => {
        folder = await federation.smallDisk("nexus-1", 640);
      },
    });
    try {
      const client = made.client({ timeoutMs: 3000 });
      for (let i = 0; i < 20; i++) await client.put(`/full/${i}`, `${i}`);
      const put = () => client.put("/full/more", "x".repeat(1000));

      for (const zone of ["system", "root"]) {
        if ((await made.leader(zone)) !== "nexus-1") await made.ok(["switchover", zone, "nexus-1"]);
      }
      const giveBack = fill(folder, 100 * 1024 * 1024);
      await until(
        "writes are refused",
        () =>
          put().then(
            () => false,
            (error) => error.code === "DISK_FULL",
          ),
        20_000,
      );
      expect(Buffer.from((await client.get("/full/7")).content).toString()).toBe("7");
      await client.delete("/full/8");
      await expect(client.stat("/full/8")).rejects.toMatchObject({ code: "NOT_FOUND" });
      await expect(client.put("/full/big", Buffer.alloc(1_000_000))).rejects.toMatchObject({ code: "DISK_FULL" });
      await until("status says so", async () => (await made.box("nexus-1")).state === "full", 10_000);
      expect((await made.nexus(["doctor"])).code).toBe(1);

      giveBack();
      await until("writes are taken again", () => put().then(() => true), 20_000);
      await until("status says so", async () => (await made.box("nexus-1")).state === "ready", 10_000);
      expect((await made.box("nexus-1")).restarts).toBe(0);
      for (let i = 0; i < 20; i++) if (i !== 8) await client.get(`/full/${i}`);
    } finally {
      expect(await made.down()).toEqual([]);
    }
  },
);

test.skipIf(!isRoot)(
  "a disk without a single byte left loses nothing acknowledged, and writes go on when space is back",
  async () => {
    let folder = "";
    const made = await Federation.up({
      example: "strong.yaml",
      before: async (federation) => {
        folder = await federation.smallDisk("nexus-1", 640);
      },
    });
    try {
      const client = made.client({ timeoutMs: 2000 });
      const acknowledged: string[] = [];
      const put = async (path: string) => {
        await client.put(path, "x".repeat(2000));
        acknowledged.push(path);
      };
      for (let i = 0; i < 50; i++) await put(`/full/${i}`);

      const giveBack = fill(folder, 0);
      for (let i = 50; i < 400; i++) await put(`/full/${i}`).catch(() => {});
      giveBack();

      await until("writes are taken again", () => client.put("/full/after", "x").then(() => true), 60_000);
      for (const path of acknowledged) expect((await client.get(path)).content.length).toBe(2000);
    } finally {
      expect(await made.down()).toEqual([]);
    }
  },
);

test.skipIf(!isRoot)(
  "a follower whose disk is full to the last byte holds up no write for long, and catches up when space is back",
  async () => {
    let folder = "";
    const made = await Federation.up({
      example: "quickstart.yaml",
      before: async (federation) => {
        folder = await federation.smallDisk("nexus-2", 640);
      },
    });
    try {
      if ((await made.leader()) !== "nexus-1") await made.ok(["switchover", "root", "nexus-1"]);
      const client = made.client({ timeoutMs: 20_000 });
      const giveBack = fill(folder, 0);
      const paths: string[] = [];
      let longest = 0;
      // More than fits into what the log has reserved.
      for (let i = 0; i < 40; i++) {
        const from = performance.now();
        const writes = Array.from({ length: 128 }, (_, j) => `/full/${i}/${j}`);
        await Promise.all(writes.map((path) => client.put(path, Buffer.alloc(30_000, path))));
        paths.push(...writes);
        longest = Math.max(longest, performance.now() - from);
      }
      // Longer than its client's patience would have refused one.
      console.log(`longest turn of 128 writes beside a full follower: ${Math.round(longest)} ms`);
      giveBack();
      await made.whole("root", 60_000);
      const copy = await made.clientOf("nexus-2");
      for (const path of paths.filter((_, i) => i % 50 === 0))
        expect(Buffer.from((await copy.get(path)).content).equals(Buffer.alloc(30_000, path))).toBe(true);
    } finally {
      expect(await made.down()).toEqual([]);
    }
  },
);
