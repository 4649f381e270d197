import { expect, test } from "vitest";
import { systemClock } from "./system-clock.ts";

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
