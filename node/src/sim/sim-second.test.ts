import { expect, test } from "vitest";
import { runSlice, sliceTimeoutMs } from "./slice.ts";

test(
  "federations keep every promise under random faults, second half",
  async () => {
    const { ran, done } = await runSlice(1);

    expect(done).toBeGreaterThan(ran * 10);
  },
  sliceTimeoutMs,
);
