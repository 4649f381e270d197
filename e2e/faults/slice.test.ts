// A few rounds of `npm run faults`, as part of every test run: each kind of load, histories judged by both checkers. No
// figure is asserted here: how long a failover takes is a matter of the machine.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom } from "@nexus-federation/node/base/seeded-random.ts";
import { expect, test } from "vitest";
import { skipFor } from "../harness/skip.ts";
import type { Run } from "./scenario.ts";
import { underStrikes } from "./scenarios/histories.ts";
import { deeds } from "./strikes/deeds.ts";
import { partitions } from "./strikes/partitions.ts";
import { kill, stop } from "./strikes/processes.ts";
import type { Strike } from "./strikes/strike.ts";

const roundsOfEach = 2;

async function judged(strike: Strike, proxies = false) {
  const folder = mkdtempSync(join(tmpdir(), "nexus-slice-"));
  const seed = 7;
  const { signal } = new AbortController();
  const random = seededRandom(seed);
  const run: Run = { kills: 0, minutes: 0, proxies, random, folder, progress: () => {}, stopped: signal };
  try {
    return await underStrikes(run, strike, (rounds) => rounds >= roundsOfEach);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const leaderOnly = partitions.find((strike) => strike.name === "partition-leader")!;
const oneWay = partitions.find((strike) => strike.name === "partition-one-way")!;
const transfer = deeds.find((strike) => strike.name === "deed-transfer")!;

test.for([
  { strike: kill, by: "network namespaces" },
  { strike: stop, by: "network namespaces" },
  { strike: leaderOnly, by: "network namespaces" },
  { strike: oneWay, by: "TCP proxies" },
  { strike: transfer, by: "network namespaces" },
])(
  "$strike.about (cuts by $by): every load's history has an order that explains it",
  async ({ strike, by }, context) => {
    const found = await judged(strike, by === "TCP proxies");
    if (typeof found === "string") return skipFor(context, found);
    console.log(`${strike.name}: ${JSON.stringify(found.figures)}`);
    expect(found.wrong).toEqual([]);
    expect(found.figures["answered"]).toBeGreaterThan(0);
  },
);
