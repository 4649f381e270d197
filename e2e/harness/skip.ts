import type { TestContext } from "vitest";

/** Skips the test and says why on the console too: the reporter of `make test` does not show the reasons of skips. */
export function skipFor(context: TestContext, why: string): never {
  console.warn(`SKIPPED: ${why}`);
  return context.skip(why);
}
