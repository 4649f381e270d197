import { describe, expect, test } from "vitest";
import { type Box, Cluster, putCommand } from "./testing/cluster.ts";

async function running(names: string[], others: string[] = []): Promise<Cluster> {
  const cluster = new Cluster();
  await cluster.start(...names, ...others);
  await cluster.bootstrap(names);
  return cluster;
}

let revision = 0;

async function change(cluster: Cluster, names: string[]): Promise<void> {
  const members = names.map((name) => {
    const box = cluster.box(name);
    const role = box.isWitness ? "witness" : "voter";
    return { box: name, role, incarnation: box.isWitness ? Buffer.alloc(0) : box.incarnation };
  });
  const leader = await cluster.elected();
  revision++;
  const call = { revision, hash: `${revision}`, members, expectedConfigIndex: undefined };
  expect(await cluster.settle(leader.host.proposeMembership(1, call))).toBeUndefined();
  await cluster.until(() => cluster.leader()?.host.membershipReached(1) === true, 10_000, `members ${names}`);
}

function voters(box: Box): string[] {
  const { config } = box.view()!;
  return config.voters.map((id) => config.members.find((member) => member.replica === id)!.box).sort();
}

describe("membership", () => {
  test("goes from 1 to 2+1 to 3 to 1 with everything kept", async () => {
    const cluster = await running(["a"], ["b", "c", "w1"]);
    await cluster.put("/one", "1");

    await change(cluster, ["a", "b", "w1"]);
    expect(voters(await cluster.elected())).toEqual(["a", "b", "w1"]);
    const both = await cluster.put("/two", "2");
    expect(both.boxes.sort()).toEqual(["a", "b"]);

    await change(cluster, ["a", "b", "c"]);
    expect(voters(await cluster.elected())).toEqual(["a", "b", "c"]);
    await cluster.put("/three", "3");

    await cluster.until(() => cluster.box("w1").witness!.records === 0, 1_000, "the witness to forget");
    await change(cluster, ["c"]);
    expect(voters(await cluster.elected())).toEqual(["c"]);
    await cluster.put("/four", "4");

    for (const [path, content] of Object.entries({ "/one": "1", "/two": "2", "/three": "3", "/four": "4" })) {
      expect(cluster.box("c").content(path)).toBe(content);
    }
  });

  test("a read at a member that is removed meanwhile is refused at once, not kept for its whole time", async () => {
    const cluster = await running(["a", "b", "c"]);
    const leader = await cluster.elected();
    const leaving = cluster.box(leader.name === "b" ? "c" : "b");
    const refused: (string | number)[] = [];
    let under = 0;
    let longestMs = 0;
    const read = async () => {
      const fromMs = cluster.clock.now();
      under++;
      const answer = await leaving.readIndex(1, 10_000);
      under--;
      longestMs = Math.max(longestMs, cluster.clock.now() - fromMs);
      if (typeof answer !== "number") refused.push(answer.code);
    };
    const names = ["a", "b", "c"].filter((name) => name !== leaving.name);
    const changed = change(cluster, names);
    while (refused.length < 20) {
      void read();
      await cluster.run(1);
      if (cluster.clock.now() > 20_000) throw new Error("nothing was refused");
    }
    await changed;
    await cluster.until(() => under === 0, 15_000, "every read to be answered");

    expect(new Set(refused)).toEqual(new Set(["NO_LEADER"]));
    expect(longestMs).toBeLessThan(1_000);
  });

  test("a member that was wiped is refused under its old name until it is declared anew", async () => {
    const cluster = await running(["a", "b", "c"]);
    await cluster.put("/x", "1");
    const leader = await cluster.elected();
    const wiped = ["a", "b", "c"].map((name) => cluster.box(name)).find((box) => box !== leader)!;

    await wiped.loseDisk();
    await cluster.put("/y", "2");
    await cluster.run(1_000);
    expect(wiped.view()).toBeUndefined();

    await change(cluster, ["a", "b", "c"]);
    await cluster.until(() => wiped.view()?.role === "follower", 5_000, "the new replica");
    await cluster.put("/z", "3");
    await cluster.run(200);
    for (const path of ["/x", "/y", "/z"]) expect(wiped.content(path)).toBeDefined();
  });

  test("a member that lost its state is replaced by a new replica of itself", async () => {
    const cluster = new Cluster({ host: { compactEntries: 10, keepEntries: 2 } });
    await cluster.start("a", "b", "c");
    await cluster.bootstrap(["a", "b", "c"]);
    for (let i = 0; i < 40; i++) await cluster.put(`/f${i}`, `${i}`);
    await cluster.run(3_000);
    await cluster.put("/more", "1");
    await cluster.run(3_000);
    const leader = await cluster.elected();
    const hurt = ["a", "b", "c"].map((name) => cluster.box(name)).find((box) => box !== leader)!;

    hurt.crash();
    hurt.loseState();
    await hurt.start();
    expect(hurt.view()).toMatchObject({ needsReplication: true });
    const members = () =>
      cluster
        .leader()!
        .view()!
        .config.members.filter((member) => member.box === hurt.name);
    await cluster.until(() => members().length === 1 && members()[0]!.replica === 4, 10_000, "its successor");
    await cluster.run(200);

    expect(hurt.view()).toMatchObject({ needsReplication: false, role: "follower" });
    expect((await cluster.elected()).view()!.config.voters).toHaveLength(3);
    await cluster.put("/end", "1");
    await cluster.until(() => hurt.content("/end") === "1");
    expect(hurt.content("/f7")).toBe("7");
  });

  test("an older or contradicting declaration is refused", async () => {
    const cluster = await running(["a"], ["b"]);
    const leader = await cluster.elected();
    const call = (number: number, hash: string, expectedConfigIndex?: number) => ({
      revision: number,
      hash,
      members: [{ box: "a", role: "voter", incarnation: cluster.box("a").incarnation }],
      expectedConfigIndex,
    });

    expect(await cluster.settle(leader.host.proposeMembership(1, call(5, "x")))).toBeUndefined();
    const answers = [call(4, "x"), call(5, "y"), call(6, "z", 99)].map((one) => leader.host.proposeMembership(1, one));

    for (const answer of answers) {
      expect(await cluster.settle(answer)).toMatchObject({ code: "PRECONDITION_FAILED" });
    }
    expect(await cluster.settle(leader.host.proposeMembership(1, call(5, "x")))).toBeUndefined();
  });
});

describe("two members and a witness", () => {
  test("the witness is silent while both are well, and stands in when one dies", async () => {
    const cluster = await running(["a", "b", "w1"]);
    await cluster.put("/x", "1");
    await cluster.until(() => cluster.leader()!.view()!.witnessMode === "PAIR", 10_000, "PAIR");
    await cluster.run(1_000);
    const { requests } = cluster.box("w1").witness!.counters;
    for (let i = 0; i < 20; i++) await cluster.put("/x", `${i}`);
    await cluster.run(2_000);
    expect(cluster.box("w1").witness!.counters.requests).toBe(requests);

    const leader = await cluster.elected();
    leader.crash();
    const outcome = await cluster.put("/y", "2");

    expect(outcome.copies).toBe(1);
    expect((await cluster.elected()).view()!.witnessMode).toBe("SOLO");
    await leader.start();
    await cluster.until(() => cluster.leader()!.view()!.witnessMode === "PAIR", 10_000, "PAIR");
    expect((await cluster.put("/z", "3")).copies).toBe(2);
  });

  test("losing the follower costs no election", async () => {
    const cluster = await running(["a", "b", "w1"]);
    await cluster.put("/x", "1");
    const leader = await cluster.elected();
    const { term } = leader.view()!;
    cluster.box(leader.name === "a" ? "b" : "a").crash();

    const before = cluster.clock.now();
    expect((await cluster.put("/y", "2")).copies).toBe(1);

    expect(leader.view()!.term).toBe(term);
    expect(cluster.clock.now() - before).toBeLessThan(300);
    expect(await cluster.settle(leader.readIndex())).toBeGreaterThan(0);
  });

  test("a witness that lost its disk is replaced once both members are there", async () => {
    const cluster = await running(["a", "b", "w1"]);
    await cluster.put("/x", "1");
    const witness = cluster.box("w1");
    await witness.loseDisk();
    const leader = await cluster.elected();
    const follower = cluster.box(leader.name === "a" ? "b" : "a");

    follower.crash();
    const stuck = await cluster.settle(leader.propose(putCommand("/y", "2"), 1, 500));
    expect(stuck).toMatchObject({ kind: "refused" });
    await follower.start();
    const knows = (box: Box) =>
      box.view()?.config.witnesses.join() === "4" && box.view()?.config.votersOutgoing.length === 0;
    await cluster.until(() => knows(leader) && knows(follower), 10_000, "a new witness, known to both");

    cluster.leader()!.crash();
    expect((await cluster.put("/z", "3")).copies).toBe(1);
  });

  test("it is replaced as well when a leader that has gone meanwhile drew a record there already", async () => {
    const cluster = await running(["a", "b", "w1"]);
    await cluster.put("/x", "1");
    const witness = cluster.box("w1");
    await witness.loseDisk();
    const join = { sequence: 1, log: 1, generation: 1, incarnation: Buffer.alloc(0) };
    const drawn = { ...join, op: { $case: "join" as const, value: { named: [] } } };
    witness.witness!.handle(cluster.box("a").incarnation, [drawn], () => {});
    const leader = await cluster.elected();
    const follower = cluster.box(leader.name === "a" ? "b" : "a");

    follower.crash();
    await cluster.settle(leader.propose(putCommand("/y", "2"), 1, 500));
    await follower.start();

    const ids = () => cluster.leader()?.view()?.config.witnesses ?? [];
    await cluster.until(() => ids().length === 1 && ids()[0] === 4, 10_000, "a new witness");
  });
});
