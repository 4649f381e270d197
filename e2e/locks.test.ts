import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { NexusError } from "@nexus-federation/node/base/errors.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { checkout, pause, until } from "./harness/run.ts";

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
});
afterAll(async () => {
  expect(await federation?.down()).toEqual([]);
});

/** A holder that can be stopped; `next` is the next thing it says. */
function holder(path: string, ttlMs: number) {
  const args = ["--disable-warning=ExperimentalWarning", "e2e/harness/lock-holder.ts", federation.folder.context];
  const child = spawn(process.execPath, [...args, path, String(ttlMs)], {
    cwd: checkout,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value ?? "{}") as { fence?: string; outcome?: string };
  return { child, next };
}

test("a holder stopped for longer than its TTL finds its fenced write refused, even before the next holder wrote", async () => {
  const { child, next } = holder("/locks/paused", 1500);
  try {
    const { fence } = await next();
    child.stdin.write("/locks/first\n");
    expect(await next()).toEqual({ outcome: "ok" });
    child.kill("SIGSTOP");
    const later = await federation.client().acquire("/locks/paused", { waitMs: 15_000, ttlMs: 30_000 });
    child.kill("SIGCONT");
    child.stdin.write("/locks/second\n");

    expect(await next()).toEqual({ outcome: "FENCED" });
    expect(BigInt(later.fence) > BigInt(fence!)).toBe(true);
    await expect(federation.client().stat("/locks/second")).rejects.toMatchObject({ code: "NOT_FOUND" });
  } finally {
    child.kill("SIGKILL");
  }
});

test("a lock outlives a leader stopped for longer than the TTL while its holder extends it", async () => {
  await federation.whole();
  const client = federation.client();
  const lock = await client.lock("/locks/kept", { ttlMs: 3000 });
  const pid = await federation.freeze(await federation.leader());
  try {
    await pause(4500);

    expect(lock.signal.aborted).toBe(false);
    await client.put("/locks/kept-file", "still mine", { fence: lock.fence, lockPath: "/locks/kept" });
  } finally {
    federation.thaw(pid);
  }
  await client.put("/locks/kept-file", "still mine", { fence: lock.fence, lockPath: "/locks/kept" });
  await lock.release();
});

test("a lock that nobody extends passes on while the leader is stopped, and the stale fence is refused by every box", async () => {
  await federation.whole();
  const stale = await federation.client().acquire("/locks/lapsed", { ttlMs: 1500 });
  const leader = await federation.leader();
  const pid = await federation.freeze(leader);
  const acquiring = federation.client().acquire("/locks/lapsed", { waitMs: 30_000, ttlMs: 60_000 });
  const next = await acquiring.finally(() => federation.thaw(pid));

  expect(BigInt(next.fence) > BigInt(stale.fence)).toBe(true);
  for (const box of ["nexus-1", "nexus-2"]) {
    const client = await federation.clientOf(box);
    const options = { fence: stale.fence, lockPath: "/locks/lapsed" };
    await expect(client.put("/locks/stale", "x", options)).rejects.toMatchObject({ code: "FENCED" });
  }
});

interface Turn {
  client: number;
  fence: bigint;
  fromMs: number;
  untilMs: number;
}

/** Adds one to the file under the lock, again and again; what was acknowledged and what is of unknown fate. */
async function increment(client: number, turns: Turn[], running: () => boolean) {
  const nexus = federation.client();
  const counts = { done: 0, unknown: 0 };
  while (running()) {
    const lock = await nexus.lock("/locks/counter", { ttlMs: 10_000, waitMs: 20_000 }).catch(() => undefined);
    if (!lock) continue;
    const fromMs = performance.now();
    try {
      const { content, info } = await nexus.get("/locks/count", { timeoutMs: 20_000 });
      const options = { fence: lock.fence, lockPath: "/locks/counter", ifMatch: info.etag, timeoutMs: 20_000 };
      await nexus.put("/locks/count", String(Number(Buffer.from(content).toString()) + 1), options);
      counts.done++;
    } catch (error) {
      if (error instanceof NexusError && ["UNKNOWN_OUTCOME", "ZONE_UNAVAILABLE"].includes(error.code)) counts.unknown++;
    }
    turns.push({ client, fence: BigInt(lock.fence), fromMs, untilMs: performance.now() });
    await lock.release().catch(() => {});
  }
  return counts;
}

test("two clients that contend for one lock through leader kills never hold it together, and lose no increment", async () => {
  await federation.client().put("/locks/count", "0");
  const turns: Turn[] = [];
  let running = true;
  const clients = [1, 2].map((client) => increment(client, turns, () => running));
  for (let kills = 0; kills < 2; kills++) {
    await federation.whole();
    await pause(500);
    const pid = await federation.kill(await federation.leader());
    const had = turns.length;
    await until("the lock is taken again", () => turns.length > had + 5, 60_000);
    await until("the killed box is back", async () =>
      (await federation.status()).boxes.every((box) => box.pid !== pid),
    );
  }
  running = false;
  const counts = await Promise.all(clients);
  const done = counts.reduce((sum, each) => sum + each.done, 0);
  const unknown = counts.reduce((sum, each) => sum + each.unknown, 0);
  const count = Number(Buffer.from((await federation.client().get("/locks/count")).content).toString());

  expect(count).toBeGreaterThanOrEqual(done);
  expect(count).toBeLessThanOrEqual(done + unknown);
  const inOrder = [...turns].sort((a, b) => a.fromMs - b.fromMs);
  for (const [i, turn] of inOrder.entries()) {
    const before = inOrder[i - 1];
    if (!before) continue;
    expect(turn.fence > before.fence).toBe(true);
    expect(turn.fromMs).toBeGreaterThanOrEqual(before.untilMs);
  }
  expect(new Set(turns.map((turn) => turn.client)).size).toBe(2);
});

test("a semaphore has never more holders than slots", async () => {
  const client = federation.client();
  const options = { kind: "semaphore" as const, slots: 2, ttlMs: 20_000 };
  const [first, second] = [await client.acquire("/locks/s", options), await client.acquire("/locks/s", options)];
  await expect(client.acquire("/locks/s", options)).rejects.toMatchObject({ code: "LOCKED" });
  await expect(client.acquire("/locks/s", { ttlMs: 1000 })).rejects.toMatchObject({ code: "INVALID" });
  await client.put("/locks/s-file", "x", { fence: second.fence, lockPath: "/locks/s" });
  await client.put("/locks/s-file", "y", { fence: first.fence, lockPath: "/locks/s" });
  const waiting = client.acquire("/locks/s", { ...options, waitMs: 10_000 });
  await client.release("/locks/s", first.grant.lockId);
  expect(BigInt((await waiting).fence) > BigInt(second.fence)).toBe(true);
});
