import { describe, expect, test } from "vitest";
import { message } from "../raft/messages.ts";
import type { Session } from "../transport/ports.ts";
import type { Outcome } from "./api.ts";
import { Cluster, putCommand } from "./testing/cluster.ts";
import { FrameWriter } from "./wire.ts";

async function running(names: string[], settings: ConstructorParameters<typeof Cluster>[0] = {}): Promise<Cluster> {
  const cluster = new Cluster(settings);
  await cluster.start(...names);
  await cluster.bootstrap(names);
  return cluster;
}

describe("one member", () => {
  test("elects itself, applies what is proposed, and says one copy", async () => {
    const cluster = await running(["a"]);

    const outcome = await cluster.put("/x", "1");

    expect(outcome).toMatchObject({ generation: 1, copies: 1, boxes: ["a"] });
    expect(cluster.box("a").content("/x")).toBe("1");
  });

  test("keeps what was acknowledged over power cuts", async () => {
    const cluster = await running(["a"]);
    for (let i = 0; i < 20; i++) {
      await cluster.put(`/f${i}`, `${i}`);
      if (i % 3 !== 0) continue;
      cluster.box("a").crash();
      await cluster.box("a").start();
    }
    await cluster.elected();

    for (let i = 0; i < 20; i++) expect(cluster.box("a").content(`/f${i}`)).toBe(`${i}`);
  });

  test("applies what is proposed between its election and its first own entry", async () => {
    const cluster = await running(["a"]);
    const box = cluster.box("a");
    box.crash();
    await box.start();
    const early: Promise<Outcome>[] = [];
    box.host.onLeadership((log) => {
      if (early.length === 0 && box.view(log)?.isLeader) early.push(box.propose(putCommand("/x", "1")));
    });
    await cluster.until(() => early.length > 0);

    expect(await cluster.settle(early[0]!)).toMatchObject({ kind: "applied" });
  });

  test("refuses a log whose applied state is gone, instead of serving half of it", async () => {
    const cluster = await running(["a"], { host: { compactEntries: 10, keepEntries: 2 } });
    for (let i = 0; i < 40; i++) await cluster.put(`/f${i}`, `${i}`);
    await cluster.run(3_000);
    await cluster.put("/last", "1");
    await cluster.run(3_000);

    cluster.box("a").crash();
    cluster.box("a").loseState();
    await cluster.box("a").start();
    await cluster.run(2_000);

    expect(cluster.box("a").view()).toMatchObject({ needsReplication: true, isLeader: false });
  });
});

describe("three members", () => {
  test("are led by their founder as soon as each has the log, no election timeout later", async () => {
    for (const names of [
      ["a", "b", "c"],
      ["a", "b", "w"],
    ]) {
      const cluster = new Cluster();
      await cluster.start(...names);
      const beganMs = cluster.clock.now();
      await cluster.bootstrap(names);

      expect(cluster.clock.now() - beganMs).toBeLessThan(50);
      expect(cluster.leader()?.name).toBe("a");
    }
  });

  test("acknowledge with two copies at least, and all three in the end", async () => {
    const cluster = await running(["a", "b", "c"]);

    const outcome = await cluster.put("/x", "1");
    await cluster.run(100);

    expect(outcome.copies).toBeGreaterThanOrEqual(2);
    for (const name of ["a", "b", "c"]) expect(cluster.box(name).content("/x")).toBe("1");
  });

  test("elect another leader when theirs dies, with everything acknowledged", async () => {
    const cluster = await running(["a", "b", "c"]);
    for (let round = 0; round < 6; round++) {
      await cluster.put(`/r${round}`, `${round}`);
      const leader = await cluster.elected();
      leader.crash();
      await cluster.put(`/s${round}`, `${round}`);
      await leader.start();
    }
    await cluster.run(1_000);

    for (const name of ["a", "b", "c"]) {
      for (let round = 0; round < 6; round++) {
        expect(cluster.box(name).content(`/r${round}`)).toBe(`${round}`);
        expect(cluster.box(name).content(`/s${round}`)).toBe(`${round}`);
      }
    }
  });

  test("a follower that lags behind the log's start gets a snapshot", async () => {
    const cluster = await running(["a", "b", "c"], { host: { compactEntries: 50, keepEntries: 5 } });
    const leader = await cluster.elected();
    const behind = ["a", "b", "c"].map((name) => cluster.box(name)).find((box) => box !== leader)!;
    behind.crash();
    for (let i = 0; i < 200; i++) await cluster.put(`/f${i}`, `${i}`);
    await cluster.run(3_000);
    await cluster.put("/more", "1");
    await cluster.run(3_000);

    await behind.start();
    await cluster.until(() => behind.up && behind.content("/more") === "1", 5_000, "catching up");

    for (let i = 0; i < 200; i++) expect(behind.content(`/f${i}`)).toBe(`${i}`);
    behind.crash();
    await behind.start();
    await cluster.put("/end", "1");
    await cluster.until(() => behind.content("/end") === "1", 5_000, "going on after a restart");
  });

  test("a proposal of a leader that was cut off and overruled is refused as not applied", async () => {
    const cluster = await running(["a", "b", "c"]);
    const old = await cluster.elected();
    cluster.hub.part(old.name, ["a", "b", "c"]);

    const lost = old.propose(putCommand("/lost", "1"), 1, 20_000);
    await cluster.until(() => cluster.leader() !== old && cluster.leader() !== undefined, 5_000, "a new leader");
    await cluster.put("/won", "1");
    cluster.hub.healAll();

    expect(await cluster.settle(lost)).toMatchObject({ kind: "refused", refusal: { code: "NO_LEADER" } });
    await cluster.run(500);
    expect(old.content("/lost")).toBeUndefined();
    expect(old.content("/won")).toBe("1");
  });

  test("a proposal whose fate is not known in time is answered so", async () => {
    const cluster = await running(["a", "b", "c"]);
    const old = await cluster.elected();
    for (const name of ["a", "b", "c"]) if (name !== old.name) cluster.box(name).crash();

    const outcome = await cluster.settle(old.propose(putCommand("/x", "1"), 1, 500));

    expect(outcome).toMatchObject({ kind: "refused", refusal: { code: "UNKNOWN_OUTCOME" } });
  });

  test("a read point on any member covers what was acknowledged before", async () => {
    const cluster = await running(["a", "b", "c"]);

    for (let i = 0; i < 10; i++) {
      const { index } = await cluster.put("/x", `${i}`);
      for (const name of ["a", "b", "c"]) {
        const read = await cluster.settle(cluster.box(name).readIndex());
        expect(read, JSON.stringify(read)).toBeGreaterThanOrEqual(index);
        expect(cluster.box(name).content("/x")).toBe(`${i}`);
      }
    }
  });

  test("hand leadership over on request, and all of it when drained", async () => {
    const cluster = await running(["a", "b", "c"]);
    await cluster.put("/x", "1");
    const first = await cluster.elected();
    const target = ["a", "b", "c"].find((name) => name !== first.name)!;

    expect(await cluster.settle(first.host.transfer(1, target))).toBeUndefined();
    expect((await cluster.elected()).name).toBe(target);

    await cluster.settle(cluster.box(target).host.drain(2_000));
    expect(cluster.box(target).view()?.isLeader).toBe(false);
  });
});

describe("staleness", () => {
  test("is bounded by the last probe, and grows while the leader cannot be reached", async () => {
    const cluster = await running(["a", "b", "c"]);
    const leader = await cluster.elected();
    const follower = ["a", "b", "c"].map((name) => cluster.box(name)).find((box) => box !== leader)!;

    expect(follower.host.stalenessMs(1)).toBe(Number.POSITIVE_INFINITY);
    await cluster.run(50);
    expect(follower.host.stalenessMs(1)).toBeLessThanOrEqual(50);
    cluster.hub.part(follower.name, ["a", "b", "c"]);
    await cluster.run(2_000);
    expect(follower.host.stalenessMs(1)).toBeGreaterThanOrEqual(2_000);
    cluster.hub.healAll();
    await cluster.run(1_000);

    expect(follower.host.stalenessMs(1)).toBeLessThan(200);
  });

  test("an answer can be awaited until more copies hold it, or is told that they do not come", async () => {
    const cluster = await running(["a", "b", "c"]);
    const { index } = await cluster.put("/x", "1");
    const leader = await cluster.elected();
    const wait = (at: number, copies: number | "all") =>
      new Promise((resolve) => leader.host.whenDurable(1, at, { copies }, resolve, 300));

    expect(await cluster.settle(wait(index, "all"))).toBeUndefined();
    cluster.box(["a", "b", "c"].find((name) => name !== leader.name)!).crash();
    const next = await cluster.put("/y", "2");

    expect(await cluster.settle(wait(next.index, 2))).toBeUndefined();
    expect(await cluster.settle(wait(next.index, "all"))).toMatchObject({ code: "COPIES_UNAVAILABLE", applied: true });
  });
});

describe("a log begins once", () => {
  test("a beginning whose record cannot be read is dropped with its frame, and ends nobody's process", async () => {
    const cluster = await running(["a", "b", "c"]);
    const none = new Uint8Array(0);
    const writer = new FrameWriter();
    const context = Buffer.from([0x0a, 0xff]);
    const about = { log: 9, generation: 1, quiesce: false, host: "HostBootstrap" as const, conf: none };
    writer.add({ ...about, message: { ...message("MsgHup", 2), context } });
    const { box, incarnation } = cluster.member("a", 1);
    const remote = { box, incarnation, featureLevel: 1, version: "" };
    const session: Session = { remote, reply: () => true };

    cluster.box("b").host.serveHandler.frame(session, Uint8Array.from(writer.take()));
    await cluster.run(10);

    expect(cluster.box("b").host.has(9)).toBe(false);
    expect(await cluster.put("/x", "1")).toMatchObject({ kind: "applied" });
  });

  test("and a box that knew it takes no second beginning, nor after it was removed", async () => {
    const cluster = await running(["a", "b", "c"]);
    const members = ["a", "b", "c"].map((name, i) => cluster.member(name, i + 1));
    const call = { log: 1, zone: "z", federationUid: "other", generation: 1, timing: "region", members };

    expect(await cluster.settle(cluster.box("b").host.bootstrap(call))).toMatchObject({ code: "ALREADY_EXISTS" });
    await cluster.settle(cluster.box("c").host.remove(1));
    cluster.box("c").crash();
    await cluster.box("c").start();
    await cluster.run(1_000);

    expect(cluster.box("c").view()).toBeUndefined();
    expect(await cluster.settle(cluster.box("c").host.bootstrap(call))).toMatchObject({ code: "ALREADY_EXISTS" });
  });

  test("and a member whose incarnation is not the one named refuses", async () => {
    const cluster = new Cluster();
    await cluster.start("a", "b", "c");
    const members = ["a", "b", "c"].map((name, i) => cluster.member(name, i + 1));
    members[2]!.incarnation = Buffer.alloc(16, 9);
    const call = { log: 1, zone: "z", federationUid: "fed", generation: 1, timing: "region", members };

    expect(await cluster.settle(cluster.box("a").host.bootstrap(call))).toMatchObject({ code: "PRECONDITION_FAILED" });
    expect(cluster.box("c").view()).toBeUndefined();
  });
});
