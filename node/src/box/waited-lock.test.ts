import { expect, test } from "vitest";
import { codeOf, Federation } from "./testing/federation.ts";

const lock = (wait: boolean) => {
  const value = { path: "/l", kind: "mutex", slots: 1, ttlMs: 60_000, owner: "", wait };
  return { $case: "mutate" as const, value: { op: { $case: "acquire" as const, value } } };
};

test("a lock that was waited for is granted with the copies that were demanded, or said to lack them", async () => {
  const federation = await Federation.start(["a", "b", "w"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, ["a", "b", "w"]);
  const log = federation.node("a").directory.zone("all");
  const leader = "code" in log ? "" : ((await federation.cluster.elected(log.log)).name ?? "");
  const held = await federation.ask(leader, lock(false));
  const lockId = held.result?.$case === "grant" ? held.result.value.lockId : Buffer.alloc(0);
  const waiting = federation.send(leader, lock(true), { minCopies: 2, timeoutMs: 8_000 });
  await federation.cluster.run(200);

  federation.crash(leader === "a" ? "b" : "a");
  const release = { $case: "release" as const, value: { path: "/l", lockId } };
  await federation.ask(leader, { $case: "mutate", value: { op: release } });
  const granted = await federation.cluster.settle(waiting, 20_000);

  expect(codeOf(granted)).toBe("COPIES_UNAVAILABLE");
  expect(granted.result).toMatchObject({ value: { applied: true } });
  expect(granted.receipt?.copies).toBe(1);
});
