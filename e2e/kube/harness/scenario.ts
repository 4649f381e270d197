import { expect } from "vitest";
import { until } from "../../cluster/programs.ts";
import { Load, type LoadNow, type LoadResult } from "./load.ts";
import type { Federation } from "./operator.ts";

export interface LoadUse {
  /** Image of the loader's pod. */
  image: string;
  /** Hostname of the node it is to run on, for scenarios that stop others. */
  node?: string;
  /** Calls may fail meanwhile: the scenario takes away what they need. What was acknowledged must be there all the same. */
  mayFail?: boolean;
  /** Codes of calls that the scenario's mode refuses for a while, such as reads that it does not offer. */
  refuses?: readonly string[];
  /** Reads may be older than writes that were acknowledged: the scenario's mode allows it for a while. */
  mayBeStale?: boolean;
}

/** Runs `scenario` while clients write and read; every acknowledged write is read back at the end. */
export async function underLoad(
  federation: Federation,
  use: LoadUse,
  scenario: (load: Load) => Promise<void>,
): Promise<LoadResult> {
  const load = await Load.start(federation.cluster, federation.namespace, use);
  await furtherWrites(load);
  await scenario(load);
  await furtherWrites(load);
  const result = await load.stop();
  // A lost race of compare-and-set is an answer.
  const expected = ["PRECONDITION_FAILED", ...(use.refuses ?? [])];
  const failed = Object.fromEntries(Object.entries(result.refused).filter(([code]) => !expected.includes(code)));
  const { missing } = result;
  const wrong = use.mayBeStale ? [] : result.wrong;
  expect({ missing, wrong, ...(use.mayFail ? {} : { failed }) }).toEqual({
    missing: [],
    wrong: [],
    ...(use.mayFail ? {} : { failed: {} }),
  });
  return result;
}

/** Resolves once `count` more writes are acknowledged. */
export async function furtherWrites(load: Load, count = 20): Promise<LoadNow> {
  const before = (await load.now()).acknowledged;
  return until(
    `${count} further writes`,
    async () => {
      const now = await load.now();
      return now.acknowledged > before + count ? now : undefined;
    },
    { withinMs: 90_000, everyMs: 200 },
  );
}
