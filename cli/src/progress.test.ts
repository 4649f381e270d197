import { expect, test } from "vitest";
import { progressText } from "./progress.ts";

test("bytes are shown with their total, the share and the pace", () => {
  const mib = 1024 ** 2;
  const at = { done: 10.8 * mib, unit: "bytes" as const, passedMs: 500 };

  expect(progressText({ ...at, total: 143.1 * mib })).toBe("10.8 MiB of 143.1 MiB (7 %), 21.6 MiB/s");
  expect(progressText({ ...at, total: undefined })).toBe("10.8 MiB, 21.6 MiB/s");
});

test("files are counted", () => {
  expect(progressText({ done: 69, total: 300, unit: "files", passedMs: 1 })).toBe("69 of 300 files (23 %)");
  expect(progressText({ done: 69, total: undefined, unit: "files", passedMs: 1 })).toBe("69 files");
});
