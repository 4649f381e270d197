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
import { partitions } from "./strikes/partitions.ts";
import { kill, stop } from "./strikes/processes.ts";
import type { Strike } from "./strikes/strike.ts";

const roundsOfEach = 2;

async function judged(strike: Strike) {
  const folder = mkdtempSync(join(tmpdir(), "nexus-slice-"));
  const seed = 7;
  const { signal } = new AbortController();
  const run: Run = { kills: 0, minutes: 0, random: seededRandom(seed), folder, progress: () => {}, stopped: signal };
  try {
    return await underStrikes(run, strike, (rounds) => rounds >= roundsOfEach);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const leaderOnly = partitions.find((strike) => strike.name === "partition-leader")!;

test.for([kill, stop, leaderOnly])(
  "$about: every load's history has an order that explains it",
  async (strike, context) => {
    const found = await judged(strike);
    if (typeof found === "string") return skipFor(context, found);
    console.log(`${strike.name}: ${JSON.stringify(found.figures)}`);
    expect(found.wrong).toEqual([]);
    expect(found.figures["answered"]).toBeGreaterThan(0);
  },
);
