import { VirtualClock } from "@nexus-federation/node/group/testing/virtual-clock.ts";
import { AdminReply } from "@nexus-federation/proto/admin.ts";
import { expect, test } from "vitest";
import { desired } from "../../planner/testing/specs.ts";
import { World } from "../../planner/testing/world.ts";
import { Executor } from "./execute.ts";

/** What reaches the boxes when the registration of a box, which goes first, takes that long. */
async function callsWhenSlow(tookMs: number): Promise<string[]> {
  const clock = new VirtualClock();
  const seen = new World();
  seen.workloads.set("a", { role: "Data", region: "r" });
  const idle = { configIndex: 1, pending: undefined, mode: "strong", hash: "", revision: 1, recovered: 0 };
  seen.logs.set("system", { ...idle, log: 1, leader: "a", members: new Map() });
  const calls: string[] = [];
  const change = async (_to: unknown, verb: string) => {
    calls.push(verb);
    if (verb === "registerBox") await clock.run(tookMs);
    return AdminReply.decode(new Uint8Array(0));
  };
  const random = { unit: () => 1, bytes: () => new Uint8Array() };
  const executor = new Executor({ admin: { change }, clock, random, report: () => {} });
  const actions = [
    { type: "registerBox" as const, box: "a" },
    { type: "destroyZone" as const, zone: "x" },
  ];
  await executor.run(actions, { desired: desired(), observed: seen.observe() });
  return calls;
}

test("a zone is not destroyed on an old plan: it may have been declared again meanwhile", async () => {
  expect(await callsWhenSlow(1_000)).toEqual(["registerBox", "destroyZone"]);
  expect(await callsWhenSlow(6_000)).toEqual(["registerBox"]);
});
