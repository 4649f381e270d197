import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, systemRandom } from "@nexus-federation/node/transport/system-clock.ts";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Desired } from "../../planner/desired.ts";
import { Fleet } from "./fleet.ts";
import { Folder } from "./folder.ts";
import { Identities } from "./identities.ts";
import { loopback, Ports } from "./ports.ts";

/** A box as far as ports go: it ends when its peer port is taken. */
const program = `
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
const { peer } = JSON.parse(readFileSync(process.argv[3], "utf8"));
createServer().on("error", () => process.exit(1)).listen(peer.port, peer.host);
process.stdin.on("end", () => process.exit(0)).resume();
`;

let folder: Folder;
let fleet: Fleet;
const squatter = createServer();
beforeEach(() => {
  folder = new Folder(mkdtempSync(join(tmpdir(), "nexus-fleet-")));
  folder.create();
});
afterEach(async () => {
  await fleet.stop();
  squatter.close();
  rmSync(folder.root, { recursive: true, force: true });
});

const peersOf = (box: string) => JSON.parse(readFileSync(folder.config(box), "utf8")).peers;

test("a box that had to take other ports is known to all others, of which those that never joined start anew", async () => {
  const dataProgram = join(folder.root, "box.mjs");
  writeFileSync(dataProgram, program);
  const taken = new Ports(folder.ports, systemRandom);
  for (const name of ["a", "b", "joined"]) await taken.ensure(name, "Data");
  const before = taken.of("b")!.peer;
  await new Promise<void>((done) => squatter.listen(before, loopback, done));
  mkdirSync(folder.box("joined"), { recursive: true });
  writeFileSync(join(folder.box("joined"), "map"), "");
  const box = (name: string) => [name, { name, role: "Data", region: "r", cluster: "default" }] as const;
  const desired = { boxes: new Map([box("a"), box("joined"), box("b")]) } as unknown as Desired;
  const identities = await Identities.open(folder, "acme", { nowMs: Date.now() });
  const needs = { clock: systemClock, random: systemRandom, folder, identities, changed: () => {} };
  fleet = new Fleet(needs, { federation: "acme", detached: false, dataProgram });

  for (const name of desired.boxes.keys()) await fleet.ensure(name, desired);

  await vi.waitFor(
    () => {
      expect(fleet.workloads.get("b")?.peerEndpoint).not.toBe(`${loopback}:${before}`);
      expect(fleet.views.get("a")).toMatchObject({ running: true });
      // Once for each time that b moves: on a busy machine what it takes may be taken again.
      expect(fleet.views.get("a")?.restarts).toBeGreaterThan(0);
      expect(fleet.views.get("b")).toMatchObject({ running: true });
    },
    { timeout: 50_000, interval: 20 },
  );
  const moved = { box: "b", endpoint: fleet.workloads.get("b")!.peerEndpoint };
  expect(peersOf("a")).toContainEqual(moved);
  expect(peersOf("joined")).toContainEqual(moved);
  expect(fleet.views.get("joined")).toMatchObject({ running: true, restarts: 0 });
});
