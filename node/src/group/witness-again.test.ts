import { expect, test } from "vitest";
import { Cluster } from "./testing/cluster.ts";

test("a witness that left and came back under one leader stands in for a lost member", async () => {
  const cluster = new Cluster();
  await cluster.start("a", "b", "w1");
  await cluster.bootstrap(["a"]);
  let revision = 0;
  const change = async (names: string[]) => {
    const members = names.map((name) => {
      const { isWitness, incarnation } = cluster.box(name);
      const role = isWitness ? "witness" : "voter";
      return { box: name, role, incarnation: isWitness ? Buffer.alloc(0) : incarnation };
    });
    revision++;
    const call = { revision, hash: `${revision}`, members, expectedConfigIndex: undefined };
    expect(await cluster.settle(cluster.box("a").host.proposeMembership(1, call))).toBeUndefined();
    await cluster.until(() => cluster.box("a").host.membershipReached(1), 10_000, `members ${names}`);
  };
  await change(["a", "b", "w1"]);
  await change(["a"]);
  await cluster.until(() => cluster.box("w1").witness!.records === 0, 1_000, "the witness to forget");

  await change(["a", "b", "w1"]);
  await cluster.until(() => cluster.leader()!.view()!.witnessMode === "PAIR", 10_000, "PAIR");
  cluster.box("a").crash();

  expect((await cluster.put("/y", "2")).copies).toBe(1);
});

test("a witness that is declared while it is away joins when it comes, though nothing is written meanwhile", async () => {
  const cluster = new Cluster();
  await cluster.start("a", "b", "w1");
  await cluster.bootstrap(["a"]);
  cluster.box("w1").crash();
  const [a, b] = [cluster.box("a"), cluster.box("b")];
  const members = [
    { box: "a", role: "voter", incarnation: a.incarnation },
    { box: "b", role: "voter", incarnation: b.incarnation },
    { box: "w1", role: "witness", incarnation: Buffer.alloc(0) },
  ];
  const call = { revision: 1, hash: "1", members, expectedConfigIndex: undefined };
  expect(await cluster.settle(a.host.proposeMembership(1, call))).toBeUndefined();
  await cluster.run(30_000);
  expect(a.host.membershipReached(1)).toBe(false);

  await cluster.box("w1").start();
  await cluster.until(() => a.host.membershipReached(1), 15_000, "the witness to join");
  await cluster.until(() => a.view()?.witnessMode === "PAIR", 10_000, "PAIR");
});
