import { createHash, randomBytes } from "node:crypto";
import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import * as operations from "@nexus-federation/node/client/operations.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { memoryBytes } from "./harness/process-figures.ts";
import { until } from "./harness/run.ts";

const mebibyte = 1024 * 1024;
/** The whole size takes a minute on two slow cores; NEXUS_E2E=short asks for a quarter. */
const largeBytes = (process.env["NEXUS_E2E"] === "short" ? 256 : 1024) * mebibyte;
const extraBytesMax = 200 * mebibyte;

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
});
afterAll(async () => {
  expect(await federation?.down()).toEqual([]);
});

test(`a file of ${largeBytes / mebibyte} MiB goes up and down through a box in less than 200 MiB of extra memory`, async () => {
  const source = join(federation.root, "large");
  const part = randomBytes(16 * mebibyte);
  writeFileSync(source, "");
  const digest = createHash("sha256");
  for (let bytes = 0; bytes < largeBytes; bytes += part.length) {
    part.writeUInt32LE(bytes / mebibyte);
    digest.update(part);
    await appendFile(source, part);
  }
  const wanted = digest.digest("hex");
  const boxes = (await federation.status()).boxes.filter((box) => box.role === "Data");
  // One small and one middling transfer, so that what is loaded once is not counted.
  await federation.client().put("/content/warm", randomBytes(8 * mebibyte));
  const before = new Map(boxes.map((box) => [box.pid, memoryBytes(box.pid)]));
  let extra = 0;
  const sampler = setInterval(() => {
    for (const [pid, bytes] of before) extra = Math.max(extra, memoryBytes(pid) - bytes);
  }, 100);
  const client = federation.client({ timeoutMs: 150_000 });
  const from = performance.now();
  const { info } = await client.upload("/content/large", createReadStream(source, { highWaterMark: 256 * 1024 }), {
    size: largeBytes,
  });
  const upMs = performance.now() - from;
  const { data } = await client.download("/content/large");
  const got = createHash("sha256");
  for await (const bytes of data) got.update(bytes);
  const downMs = performance.now() - from - upMs;
  clearInterval(sampler);

  console.log(
    `${largeBytes / mebibyte} MiB up in ${(upMs / 1000).toFixed(1)} s, down in ${(downMs / 1000).toFixed(1)} s, at most ${(extra / mebibyte).toFixed(0)} MiB of extra memory`,
  );
  expect(Buffer.from(info!.etag).toString("hex")).toBe(wanted);
  expect(got.digest("hex")).toBe(wanted);
  expect(extra).toBeLessThan(extraBytesMax);
  await client.delete("/content/large");
});

test("a batch of 1000 files is written as one, or not at all", async () => {
  const client = federation.client();
  const files = Array.from({ length: 1000 }, (_, i) => operations.write(`/content/batch/${i}`, Buffer.from(`${i}`)));
  const from = performance.now();
  // A member that is starved of its processor for a moment is passed over: two copies are had once it is back.
  const { results, receipt } = await until("both members hold a batch", () => client.batch(files, { minCopies: 2 }));
  console.log(`batch of 1000 files: ${(performance.now() - from).toFixed(0)} ms`);
  expect(results).toHaveLength(1000);
  expect(receipt.copies).toBe(2);
  const names: string[] = [];
  for await (const entry of client.entries("/content/batch")) names.push(entry.name);
  expect(names).toHaveLength(1000);

  const wrong = [operations.write("/content/none/a", Buffer.from("x")), operations.remove("/content/absent")];
  await expect(client.batch(wrong)).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(client.stat("/content/none/a")).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("a retry with the same request id is applied once, also across a leader change and a restart of all", async () => {
  await federation.whole();
  const client = federation.client({ timeoutMs: 20_000 });
  await client.put("/content/log", "");
  const id = randomBytes(16);
  const attempt = () =>
    federation.client({ timeoutMs: 20_000 }).put("/content/once", "x", { requestId: id, ifNoneMatch: true });
  const first = await attempt();
  const same = async () => {
    const again = await attempt();
    expect(again.info?.revision).toBe(first.info?.revision);
  };
  await same();

  await federation.ok(["switchover", "root"]);
  await same();

  const leader = await federation.leader();
  const pid = await federation.kill(leader);
  await same();
  await federation.restarted(leader, pid);

  const rows = (await federation.status()).boxes;
  for (const row of rows) process.kill(row.pid, "SIGKILL");
  await Promise.all(rows.map((row) => federation.restarted(row.name, row.pid)));
  await same();
  await expect(client.put("/content/once", "y", { ifNoneMatch: true })).rejects.toMatchObject({
    code: "PRECONDITION_FAILED",
  });
});

test("a backup restores as a new zone with the same digest, content included, and a damaged one is refused", async () => {
  const client = federation.client({ timeoutMs: 30_000 });
  const large = randomBytes(3 * mebibyte);
  await client.put("/content/backup/large", large);
  await client.put("/content/backup/small", "small", { metadata: { colour: "blue" } });
  const file = join(federation.root, "root.backup");
  const backup = JSON.parse((await federation.ok(["backup", "root", file, "--json"])).stdout);
  await client.put("/content/backup/small", "changed since");
  const restored = JSON.parse((await federation.ok(["restore", "copy", file, "--json"])).stdout);

  expect(restored.digest).toBe(backup.digest);
  await until("the copy serves", () =>
    client.stat("/content/backup/small", { zone: "copy", timeoutMs: 2000 }).then(() => true),
  );
  const small = await client.get("/content/backup/small", { zone: "copy" });
  expect(Buffer.from(small.content).toString()).toBe("small");
  expect(small.info.metadata).toEqual({ colour: "blue" });
  expect(Buffer.from((await client.get("/content/backup/large", { zone: "copy" })).content).equals(large)).toBe(true);
  const second = join(federation.root, "copy.backup");
  const again = JSON.parse((await federation.ok(["backup", "copy", second, "--json"])).stdout);
  expect(again.digest).toBe(backup.digest);

  const bytes = readFileSync(file);
  bytes[Math.floor(bytes.length / 2)]! ^= 1;
  const damaged = federation.file("damaged.backup", bytes);
  const refused = await federation.nexus(["restore", "copy2", damaged]);
  expect(refused.code, refused.stdout).toBe(1);
  expect(refused.stderr).toMatch(/CORRUPT: .*use another copy/);
  expect(refused.stderr).not.toContain("re-replicates");
  const cut = federation.file("cut.backup", readFileSync(file).subarray(0, bytes.length - 50));
  const short = await federation.nexus(["restore", "copy3", cut]);
  expect(short.code).toBe(1);
  expect(short.stderr).toMatch(/CORRUPT: .*use another copy/);
  await until("neither is left", async () =>
    (await federation.status()).groups.every(({ zone }) => zone !== "copy2" && zone !== "copy3"),
  );
});
