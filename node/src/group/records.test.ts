import { HostRecords } from "@nexus-federation/proto/raft.ts";
import { expect, test } from "vitest";
import { Records, tombstonesMax } from "./records.ts";

test("of removed logs the newest are remembered, of the others all, also after a start", () => {
  const records = new Records(undefined);
  const lives = 5;
  for (let log = 1; log <= lives; log++) records.set({ ...records.of(log, 1), replica: 1 });
  let write = records.set({ ...records.of(lives + 1, 1), replica: 1 });
  for (let log = lives + 1; log <= lives + tombstonesMax + 3; log++) {
    write = records.set({ ...records.of(log, 1), replica: 1, removed: true });
  }

  const meta = write.snapshotMeta;
  const stored = meta === undefined ? [] : HostRecords.decode(meta.conf).records;
  expect(stored.filter((record) => record.removed)).toHaveLength(tombstonesMax);
  const again = new Records(meta);
  for (const known of [records, again]) {
    for (let log = 1; log <= lives; log++) expect(known.get(log)?.replica).toBe(1);
    expect(known.get(lives + 3)).toBeUndefined();
    expect(known.get(lives + 4)?.removed).toBe(true);
  }
  const next = HostRecords.decode(
    again.set({ ...again.of(9_999, 1), removed: true }).snapshotMeta?.conf ?? Buffer.of(),
  );
  expect(next.records.filter((record) => record.removed)).toHaveLength(tombstonesMax);
});
