import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { must } from "../base/assert.ts";
import { seededRandom } from "../base/seeded-random.ts";
import { NodeDisk } from "../log/disk-node.ts";
import { SegmentLog } from "../log/segment-log.ts";
import { BoxDatabase } from "../storage/database.ts";
import { MemoryDurableStore } from "../storage/durable-store.ts";
import { MemoryNetwork } from "../transport/memory.ts";
import { MemoryBulk } from "../transport/memory-bulk.ts";
import { MemoryHub } from "../transport/memory-hub.ts";
import { systemClock as clock } from "../transport/system-clock.ts";
import type { Outcome } from "./api.ts";
import { GroupHost } from "./host.ts";
import { MachineStates } from "./machine-states.ts";
import { putCommand } from "./testing/cluster.ts";

const folder = mkdtempSync(join(tmpdir(), "nexus-full-"));
const small = join(folder, "disk");
const isMounted = process.getuid?.() === 0 && mount();
afterAll(() => {
  if (isMounted) execFileSync("umount", ["-l", small]);
  rmSync(folder, { recursive: true, force: true });
});

function mount(): boolean {
  mkdirSync(small);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", small], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
if (!isMounted) console.warn("SKIPPED: a full disk needs a small one, which only root can mount");

/** A host of one member on the real disk, real time, with a reserve that is never noticed. */
async function started() {
  const random = seededRandom(1);
  const incarnation = Buffer.from(random.bytes(16));
  const self = { federation: "fed", box: "a", incarnation, featureLevel: 1, version: "1" };
  const network = new MemoryNetwork(new MemoryHub(clock, random), self, "a:1");
  const fatal: unknown[] = [];
  const onFatal = (error: unknown) => void fatal.push(error);
  const { log, groups } = await SegmentLog.open(new NodeDisk(small), { segmentBytes: 1 << 20 });
  const database = await BoxDatabase.open({ store: new MemoryDurableStore(), clock, onFatal });
  const states = new MachineStates(database);
  const bulk = new MemoryBulk(network, () => undefined);
  const chunks = { has: () => false, fetch: () => Promise.reject(new Error("no chunks here")) };
  const needs = { clock, random, log, states, network, bulk, chunks, diskLow: () => false, featureLevelOf: () => 1 };
  const host = new GroupHost({ box: "a", incarnation }, { ...needs, onFatal }, { recovered: groups.values() });
  host.start();
  const members = [{ replica: 1, box: "a", incarnation, role: "voter" }];
  const call = { log: 1, zone: "z", federationUid: "fed", generation: 1, timing: "region", members };
  expect(await host.bootstrap(call)).toBeUndefined();
  const propose = (command: ReturnType<typeof putCommand>): Promise<Outcome> =>
    new Promise((done) => host.propose(1, { command, timeoutMs: 1_000, done }));
  const own = { op: { $case: "own" as const, value: { pattern: "/**", exclusions: [], epoch: 1 } } };
  for (let tries = 0; tries < 300; tries++) {
    const owned = await propose({ ...putCommand("/", ""), operation: own });
    if (owned.kind === "applied") break;
    await new Promise((go) => clock.after(10, () => go(undefined)));
  }
  const stop = async () => {
    host.stop();
    await log.close();
    await database.close();
  };
  return { host, states, propose, fatal, stop };
}

test.skipIf(!isMounted)(
  "without room for the log, proposals are DISK_FULL, reads go on, and with room it goes on by itself",
  async () => {
    const { propose, host, states, fatal, stop } = await started();
    const text = "x".repeat(16_000);
    const { bavail, bsize } = statfsSync(small);
    writeFileSync(join(small, "filler"), Buffer.alloc(bavail * bsize - 100_000));

    let refused: Outcome | undefined;
    for (let i = 0; i < 400 && refused === undefined; i++) {
      const outcome = await propose(putCommand(`/f${i}`, text));
      if (outcome.kind === "refused" && outcome.refusal.code === "DISK_FULL") refused = outcome;
    }

    expect(refused).toMatchObject({ refusal: { code: "DISK_FULL" } });
    expect(fatal).toEqual([]);
    expect(host.view(1)?.isLeader).toBe(true);
    expect(must(states.machine(1), "machine").stat("/f0")).toMatchObject({ size: text.length });
    rmSync(join(small, "filler"));
    await expect.poll(async () => (await propose(putCommand("/back", text))).kind, { timeout: 10_000 }).toBe("applied");
    expect(fatal).toEqual([]);
    await stop();
  },
);
