import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { NexusError } from "@nexus-federation/node/base/errors.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endOf, flip } from "./harness/damage.ts";
import { Federation } from "./harness/federation.ts";
import { until } from "./harness/run.ts";

let federation: Federation;
const written = new Map<string, string>();

beforeAll(async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
});
afterAll(async () => {
  expect(await federation?.down()).toEqual([]);
});

const others = (box: string) => (box === "nexus-1" ? "nexus-2" : "nexus-1");
const follower = async () => others(await federation.leader());

async function write(count: number, bytes = 300): Promise<void> {
  const client = federation.client();
  const base = written.size;
  await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const path = `/rot/${base + i}`;
      const content = `${path} `.padEnd(bytes, "x");
      await client.put(path, content, { minCopies: 2, timeoutMs: 20_000 });
      written.set(path, content);
    }),
  );
  client.close();
}

/** Everything that was written, asked of this box, is as it was. */
async function allReadFrom(box: string): Promise<void> {
  const client = await federation.clientOf(box);
  for (const [path, content] of written) {
    const found = await client.get(path, { readPreference: "local", maxStalenessMs: 60_000, timeoutMs: 20_000 });
    expect(Buffer.from(found.content).toString()).toBe(content);
  }
  client.close();
}

const newestSegment = (folder: string) => {
  const segments = readdirSync(join(folder, "log"))
    .filter((name) => name.endsWith(".seg"))
    .sort();
  const used = segments.filter((name) => endOf(join(folder, "log", name)) > 64);
  return join(folder, "log", used.at(-1)!);
};

/** The damaged box said so, or got a whole copy again; then the other box dies and it serves everything alone. */
async function isWholeAgain(box: string): Promise<void> {
  const group = await federation.whole("root", 90_000);
  expect(group.members.map((member) => member.box)).toContain(box);
  await federation.whole("system", 90_000);
  await allReadFrom(box);
  const pid = await federation.kill(others(box));
  await allReadFrom(box);
  await federation.restarted(others(box), pid);
  await federation.whole();
}

/** The last frame is an empty one: what stands before it cannot be taken for a torn write any more (log/format.ts). */
function isSealed(file: string): boolean {
  const bytes = readFileSync(file);
  const last = bytes.lastIndexOf("NFRM");
  return last > 0 && bytes.readUInt32LE(last + 8) === 32;
}

test("a flipped byte in the middle of the segment log is found, and the member gets a whole copy again", async () => {
  await write(300);
  const box = await follower();
  const before = await federation.group();
  const folder = federation.folder.box(box);
  await until("the box fell idle and sealed its log", () => isSealed(newestSegment(folder)), 60_000);
  await federation.damage(box, () => {
    const segment = newestSegment(folder);
    // An entry of the zone for certain, and not the box's own records or another log's.
    const at = readFileSync(segment).indexOf("/rot/150 ");
    expect(at).toBeGreaterThan(0);
    flip(segment, at);
  });
  await until(
    "its member was replaced",
    async () => (await federation.group()).configIndex > before.configIndex,
    60_000,
  );
  await isWholeAgain(box);
});

test("a byte that flips in the last write looks like a torn tail, and the member gets what it lost", async () => {
  const box = await follower();
  await write(1);
  await federation.damage(box, (folder) => {
    const segment = newestSegment(folder);
    flip(segment, endOf(segment) - 100);
  });
  // By a new replica when its leader still counts on what it had acknowledged, by the next leader's entries otherwise.
  await isWholeAgain(box);
});

test("a torn tail of the segment log is cut off and loses nothing", async () => {
  await write(50);
  const box = await follower();
  const before = await federation.group();
  await federation.damage(box, (folder) => {
    const segment = newestSegment(folder);
    const fd = openSync(segment, "r+");
    // The start of the log again: a true frame's first bytes, unfinished, in a place where it does not belong.
    const torn = Buffer.alloc(300);
    readSync(fd, torn, 0, 200, 64);
    writeSync(fd, torn, 0, torn.length, Math.ceil(endOf(segment) / 8) * 8);
    closeSync(fd);
  });
  await isWholeAgain(box);
  expect((await federation.group()).configIndex).toBe(before.configIndex);
});

test("a flipped byte in the applied state is found, never served, and the member gets a whole copy again", async () => {
  await write(300);
  const box = await follower();
  const before = await federation.box(box);
  await federation.damage(box, (folder) => {
    const files = readdirSync(join(folder, "state"))
      .filter((name) => /\.(sst|log)$/.test(name))
      .map((name) => join(folder, "state", name))
      .sort((a, b) => statSync(b).size - statSync(a).size);
    const size = endOf(files[0]!);
    for (const part of [0.3, 0.5, 0.7]) flip(files[0]!, Math.floor(size * part));
  });
  const client = await federation.clientOf(box);
  const refusals = new Set<string>();
  for (const [path, content] of written) {
    const options = { readPreference: "local" as const, maxStalenessMs: 60_000, timeoutMs: 5000 };
    const found = await client.get(path, options).catch((error: NexusError) => error);
    if (found instanceof Error) refusals.add(found.code);
    else expect(Buffer.from(found.content).toString()).toBe(content);
  }
  client.close();
  expect(refusals).not.toContain("INTERNAL");
  if (refusals.has("CORRUPT")) expect((await federation.box(box)).restarts).toBeGreaterThan(before.restarts);
  await isWholeAgain(box);
});

test("a flipped byte in a chunk is never served; the chunk comes from the other box", async () => {
  const content = "0123456789".repeat(50_000);
  await federation.client().put("/rot/large", content, { minCopies: 2 });
  written.set("/rot/large", content);
  const box = await follower();
  let flipped = 0;
  await federation.damage(box, (folder) => {
    const chunks = join(folder, "chunks");
    for (const name of readdirSync(chunks, { recursive: true, encoding: "utf8" })) {
      const file = join(chunks, name);
      if (!statSync(file).isFile() || statSync(file).size < 10_000) continue;
      flip(file, Math.floor(statSync(file).size / 2));
      flipped++;
    }
  });
  expect(flipped).toBeGreaterThan(0);
  await federation.whole();
  await isWholeAgain(box);
});
