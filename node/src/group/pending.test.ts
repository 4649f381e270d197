import { expect, test } from "vitest";
import type { Outcome } from "./api.ts";
import { PendingTable, type PendingTotal } from "./pending.ts";
import { putCommand } from "./testing/cluster.ts";

const proposal = (index: number, outcomes: Outcome[] = []) => ({
  index,
  term: 1,
  command: putCommand("/x", "1"),
  sizeBytes: 100,
  deadlineMs: 1000 * index,
  done: (outcome: Outcome) => void outcomes.push(outcome),
});

test("bytes that wait are counted over all logs, and given back whatever becomes of the proposals", () => {
  const total: PendingTotal = { bytes: 0 };
  const tables = [new PendingTable(total), new PendingTable(total)] as const;

  for (const table of tables) for (let index = 1; index <= 4; index++) table.add(proposal(index));
  expect(total.bytes).toBe(800);
  expect(tables[0].bytes).toBe(400);

  tables[0].take(1, 1, () => "");
  tables[0].expire(2000);
  tables[0].skippedTo(3);
  expect(total.bytes).toBe(500);
  for (const table of tables) table.abandon();

  expect(total.bytes).toBe(0);
});
