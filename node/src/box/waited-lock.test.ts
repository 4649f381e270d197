import type { Response } from "@nexus-federation/proto/request.ts";
import { expect, test } from "vitest";
import { noOptions, ownCaller } from "./ask.ts";
import { anyone, codeOf, Federation } from "./testing/federation.ts";

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

const lockIdOf = (response: Response) =>
  response.result?.$case === "grant" ? response.result.value.lockId : Buffer.alloc(0);

async function twoBoxes() {
  const federation = await Federation.start(["a", "b", "w"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, ["a", "b", "w"]);
  const held = lockIdOf(await federation.ask("a", lock(false)));
  const requestId = Buffer.alloc(16, 7);
  /** A request of a client of box `at`, which says whether the client is gone. */
  const wait = (at: string, gone = () => false) =>
    new Promise<Response>((resolve) => {
      const options = { ...noOptions, requestId, timeoutMs: 60_000 };
      const request = { id: 1, options, zone: "", op: lock(true) };
      federation.node(at).box.handle(request, { ...anyone, gone }, resolve);
    });
  const release = () =>
    federation.ask("b", { $case: "mutate", value: { op: { $case: "release", value: { path: "/l", lockId: held } } } });
  return { federation, requestId, wait, release };
}

test("a wait whose client is gone gives way to the same request by another box, which is granted", async () => {
  const { federation, requestId, wait, release } = await twoBoxes();
  let gone = false;
  const left = wait("a", () => gone);
  await federation.cluster.run(200);
  gone = true;
  const taken = wait("b");

  expect(codeOf(await federation.cluster.settle(left, 5_000))).toBe("UNKNOWN_OUTCOME");
  await release();
  expect(lockIdOf(await federation.cluster.settle(taken, 5_000))).toEqual(requestId);
});

test("a box gives up a wait by its path from any box, but never a grant", async () => {
  const { federation, requestId, wait, release } = await twoBoxes();
  const giveUp = (at: string, waiterId: Buffer) =>
    federation.cluster.settle(
      new Promise<Response>((resolve) => {
        const op = { $case: "cancelWait" as const, value: { path: "/l", waiterId } };
        const request = { id: 1, options: noOptions, zone: "", op: { $case: "mutate" as const, value: { op } } };
        federation.node(at).box.handle(request, ownCaller, resolve);
      }),
      10_000,
    );
  const waiters = async () => {
    const { result } = await federation.ask("a", { $case: "inspectLock", value: { path: "/l" } });
    return result?.$case === "lock" ? [result.value.waiters, result.value.holders[0]?.lockId] : [];
  };
  const first = wait("a");
  await federation.cluster.run(200);
  await giveUp("b", requestId);
  expect(codeOf(await federation.cluster.settle(first, 5_000))).toBe("LOCKED");
  expect((await waiters())[0]).toBe(0);

  await release();
  const granted = lockIdOf(await federation.ask("b", lock(false), { requestId: Buffer.alloc(16, 8) }));
  await giveUp("a", granted);
  expect((await waiters())[1]).toEqual(granted);
});
