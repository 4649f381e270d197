import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemRandom } from "@nexus-federation/node/transport/system-clock.ts";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isFree, loopback, Ports } from "./ports.ts";

let dir: string;
let held: Server[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "nexus-ports-"));
  held = [];
});
afterEach(async () => {
  for (const server of held) await new Promise((done) => server.close(done));
  rmSync(dir, { recursive: true, force: true });
});

const open = () => new Ports(join(dir, "ports.json"), systemRandom);
const hold = (port: number) =>
  new Promise<void>((done) => {
    const server = createServer();
    held.push(server);
    server.listen(port, loopback, done);
  });

test("every box has ports of its own, kept over restarts", async () => {
  const ports = open();
  const first = await ports.ensure("a", "Data");
  const second = await ports.ensure("b", "Data");
  const witness = await ports.ensure("w", "Witness");

  expect(new Set([first.peer, first.client, second.peer, second.client, witness.peer]).size).toBe(5);
  expect(witness.client).toBe(0);
  expect(open().of("b")).toEqual(second);
});

test("the first data box takes 2026 and 2027 when they are free", async () => {
  const free = (await isFree(2026)) && (await isFree(2027));

  const first = await open().ensure("a", "Data");

  expect(first.client === 2026 && first.peer === 2027).toBe(free);
});

test("a box that never came up gets other ports when somebody else has its own", async () => {
  const ports = open();
  await ports.ensure("a", "Data");
  const { peer } = await ports.ensure("b", "Data");
  expect(await ports.replaceTaken("b", "Data")).toBe(false);

  await hold(peer);

  expect(await ports.replaceTaken("b", "Data")).toBe(true);
  expect(ports.of("b")!.peer).not.toBe(peer);
});
