// A disk that takes writes and does not end them, made by the kernel's throttle on a block device of our own.
import { expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { type LoopDisk, loopDisk, throttle } from "./harness/loop-disk.ts";
import { until } from "./harness/run.ts";
import { skipFor } from "./harness/skip.ts";

const diskMib = 1024;

test("a stalled disk holds back writes only: the box goes on reading, answers for its health, and loses nothing acknowledged", async (context) => {
  let disk: LoopDisk | string = "no disk was made";
  const made = await Federation.up({
    example: "strong.yaml",
    before: (federation) => {
      disk = loopDisk(federation.folder.box("nexus-1"), diskMib);
    },
  });
  let heal: (() => void) | undefined;
  try {
    const client = made.client({ timeoutMs: 60_000 });
    for (let i = 0; i < 20; i++) await client.put(`/stall/${i}`, `${i}`);
    const { pid } = await made.box("nexus-1");
    if (typeof disk === "string") return skipFor(context, disk);
    try {
      heal = throttle(disk, "bytes", 1, pid);
    } catch (error) {
      return skipFor(context, `this kernel throttles no disk (${error})`);
    }
    let ended = false;
    const write = client.put("/stall/held", "back").finally(() => {
      ended = true;
    });
    write.catch(() => {}); // Its fate is looked at below.
    const slowestMs = { read: 0, health: 0 };
    const timed = async (what: keyof typeof slowestMs, call: () => Promise<unknown>) => {
      const started = performance.now();
      await call();
      slowestMs[what] = Math.max(slowestMs[what], performance.now() - started);
    };
    const end = performance.now() + 5000;
    while (performance.now() < end) {
      await timed("read", () => client.get("/stall/7", { readPreference: "local" }));
      await timed("health", () => made.box("nexus-1"));
    }
    console.log(
      `while the disk stalled: slowest read ${slowestMs.read.toFixed(0)} ms, status ${slowestMs.health.toFixed(0)} ms`,
    );
    // All of them were answered while the write was held.
    expect(ended).toBe(false);
    heal();
    heal = undefined;
    await write;
    await until("writes are fast again", () => client.put("/stall/more", "x").then(() => true));
    for (let i = 0; i < 20; i++) expect(Buffer.from((await client.get(`/stall/${i}`)).content).toString()).toBe(`${i}`);
    expect((await made.box("nexus-1")).restarts).toBe(0);
  } finally {
    heal?.();
    await made.nexus(["down"]);
    if (typeof disk !== "string") (disk as LoopDisk).remove();
    expect(await made.down()).toEqual([]);
  }
});
