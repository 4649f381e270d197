import { expect, test } from "vitest";
import { systemClock, systemRandom } from "./system-clock.ts";

test("what is asked for soon runs in the order asked, when the callback that asked is over", async () => {
  const ran: string[] = [];
  await new Promise<void>((resolve) => {
    systemClock.soon(() => {
      ran.push("first");
      systemClock.soon(() => {
        ran.push("third");
        resolve();
      });
    });
    systemClock.soon(() => ran.push("second"));
    expect(ran).toEqual([]);
  });
  expect(ran).toEqual(["first", "second", "third"]);
});

test("ids that are drawn are of the length asked for, and none comes twice", () => {
  const lengths = [16, 5000, 16, 3, 4096];
  expect(lengths.map((length) => systemRandom.bytes(length).length)).toEqual(lengths);

  const ids = Array.from({ length: 5_000 }, () => Buffer.from(systemRandom.bytes(16)).toString("hex"));

  expect(new Set(ids).size).toBe(ids.length);
});

test("bytes that were drawn belong to who drew them", () => {
  const drawn = systemRandom.bytes(16);
  const kept = Buffer.from(drawn).toString("hex");

  for (let i = 0; i < 1_000; i++) systemRandom.bytes(16).fill(0);

  expect(Buffer.from(drawn).toString("hex")).toBe(kept);
});
