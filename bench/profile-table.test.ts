import { expect, test } from "vitest";
import type { Profile } from "./inspected.ts";
import { costTable, partShares, steady } from "./profile-table.ts";

const frame = (functionName: string, url = "") => ({ functionName, url, lineNumber: 0 });
const profile: Profile = {
  nodes: [
    { id: 1, callFrame: frame("(root)"), children: [2, 3, 5] },
    { id: 2, callFrame: frame("(idle)") },
    { id: 3, callFrame: frame("apply", "file:///x/node/src/machine/machine.ts"), children: [4, 6] },
    { id: 4, callFrame: frame("put", "node:internal/buffer") },
    { id: 5, callFrame: frame("(garbage collector)") },
    { id: 6, callFrame: frame("_put", "file:///x/node_modules/@nxtedition/rocksdb/index.js") },
  ],
  samples: [2, 3, 4, 5, 6],
  timeDeltas: [500, 10, 20, 30, 40],
};

test("the time of a library counts for the part of ours that called it, except the store's; idling counts for none", () => {
  expect(Object.fromEntries(partShares(profile))).toEqual({
    apply: 0.3,
    "garbage collection": 0.3,
    "store (RocksDB)": 0.4,
  });
});

test("a pause of the profiler counts no more than a few samples, wherever it fell", () => {
  const paused = { ...profile, timeDeltas: [500, 400_000, 200, 300, 500] };

  expect(steady(paused).timeDeltas).toEqual([500, 1000, 200, 300, 500]);
  expect(partShares(steady(paused)).get("apply")).toBe(0.6);
});

test("the main thread's time is split by part, that of the other threads stands by itself", () => {
  const threads = new Map([
    ["main", 100],
    ["threads of the disk", 7],
  ]);

  const lines = costTable([{ name: "box", threads, parts: partShares(profile) }]).split("\n");

  expect(lines[2]).toBe("| all | 107.0 | 107.0 |");
  expect(lines).toContain("| store (RocksDB) | 40.0 | 40.0 |");
  expect(lines).toContain("| threads of the disk | 7.0 | 7.0 |");
});
