import type { BoxRecord } from "@nexus-federation/proto/records.ts";
import { expect, test } from "vitest";
import { anyone, codeOf, Federation } from "./testing/federation.ts";

const trio = ["a", "b", "w"];

function leaderOf(federation: Federation, zone: string): string {
  const log = federation.node("a").directory.zone(zone);
  return "code" in log ? "" : (federation.cluster.leader(log.log)?.name ?? "");
}

test("a drained box hands over and serves again when the drain is taken back", async () => {
  const federation = await Federation.start(trio, { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  const first = leaderOf(federation, "all");
  const { admin } = federation.node(first).box;

  await federation.admin(admin.drain({ on: true }, anyone));
  expect(admin.status({ zones: false }, anyone).state).toBe("draining");
  expect(leaderOf(federation, "all")).not.toBe(first);

  await federation.admin(admin.drain({ on: false }, anyone));
  expect(admin.status({ zones: false }, anyone).state).toBe("ready");
  await federation.admin(federation.node(first).box.admin.transfer({ zone: "all", box: first }, anyone));
  expect(leaderOf(federation, "all")).toBe(first);
  expect(codeOf(await federation.write(first, "/x", "1"))).toBe("");
});

test("a box that is told to stop has handed everything over and the next write is done within a second", async () => {
  const federation = await Federation.start(trio, { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  const first = leaderOf(federation, "all");
  const other = first === "a" ? "b" : "a";
  const { clock } = federation.cluster;
  const fromMs = clock.now();

  const drained = federation.cluster.settle(federation.node(first).drain(3_000));
  expect(codeOf(await federation.write(other, "/x", "1"))).toBe("");
  await drained;

  expect(clock.now() - fromMs).toBeLessThan(1_000);
  expect(leaderOf(federation, "all")).toBe(other);
});

test("a removed box is no peer of anybody any more, its disk never returns, and a member is not removed", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  const { admin } = federation.node("a").box;
  const { incarnation } = federation.cluster.box("c");
  const remove = (box: string, disk: Buffer, mayReturn = false) =>
    federation.cluster.settle(admin.removeBox({ box, incarnation: disk, mayReturn }, anyone));
  const connected = () => ["a", "b"].some((name) => federation.cluster.box(name).network.isUp("forward", "c"));
  await federation.cluster.until(connected, 5_000, "streams to c");

  expect((await remove("b", federation.cluster.box("b").incarnation)).failure).toMatchObject({ code: "ZONE_IN_USE" });
  expect((await remove("w", Buffer.alloc(0))).failure).toMatchObject({ code: "ZONE_IN_USE" });
  expect((await remove("c", incarnation)).failure).toBeUndefined();

  await federation.cluster.until(() => !connected(), 5_000, "nobody is connected to c");
  expect(federation.node("a").directory.box("c")).toBeUndefined();
  const record = { ...federation.node("a").directory.box("b"), name: "c", incarnation };
  expect((await remove("c", incarnation, true)).failure).toBeUndefined();
  const again = await federation.cluster.settle(admin.registerBox({ box: record as BoxRecord }, anyone));
  expect(again.failure).toMatchObject({ code: "DENIED" });
  expect((await remove("c", incarnation)).failure).toBeUndefined();
});

test("a declaration that means another disk than the registered one is refused", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  const members = [
    ...trio.map((box) => federation.declared(box)),
    { box: "c", role: "learner", incarnation: Buffer.alloc(16, 9) },
  ];
  const { admin } = federation.node("a").box;

  const declared = { zone: "all", revision: 1, hash: "x", members, expectedConfigIndex: 0 };
  const reply = await federation.cluster.settle(admin.proposeMembership(declared, anyone));

  expect(reply.failure).toMatchObject({ code: "PRECONDITION_FAILED" });
});

test("a declaration says what it waits for until it is reached", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  federation.crash("c");
  const members = [...trio.map((box) => federation.declared(box)).slice(0, 1), federation.declared("c")].concat(
    federation.declared("w"),
  );
  const { admin } = federation.node("a").box;
  const waits = () =>
    [...federation.nodes.keys()]
      .filter((name) => name !== "c")
      .map((name) => federation.node(name).box.admin.status({ zones: true }, anyone))
      .flatMap((status) => status.groups)
      .find((group) => group.zone === "all" && group.role === "leader")?.acceptedWaits;

  const declared = { zone: "all", revision: 1, hash: "x", members, expectedConfigIndex: 0 };
  await federation.admin(admin.proposeMembership(declared, anyone));
  await federation.cluster.until(() => waits()?.includes("not caught up") === true, 5_000, "it waits");

  await federation.restart("c");
  await federation.cluster.until(() => waits() === "", 20_000, "the members are reached");
});
