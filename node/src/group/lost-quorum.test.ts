import type { RecoveryRecord } from "@nexus-federation/proto/records.ts";
import { describe, expect, test } from "vitest";
import { must } from "../base/assert.ts";
import type { Refusal } from "../base/errors.ts";
import { type Box, Cluster } from "./testing/cluster.ts";

async function running(names: string[]): Promise<Cluster> {
  const cluster = new Cluster();
  await cluster.start(...names);
  await cluster.bootstrap(names);
  return cluster;
}

interface Wish {
  epoch?: number;
  acceptDataLoss?: boolean;
}

function recover(cluster: Cluster, from: Box, abandoned: Uint8Array[], wish: Wish = {}) {
  return cluster.settle(from.host.recover({ log: 1, epoch: 1, acceptDataLoss: true, abandoned, ...wish }));
}

const recordAtWitness = (box: Box): Uint8Array =>
  must(
    box.view()?.config.members.find((member) => member.role === "witness"),
    "witness",
  ).incarnation;

const refused = (answer: RecoveryRecord | Refusal) => ("code" in answer ? answer.message : "");

describe("a lost quorum", () => {
  test("goes on from one copy in a new generation, with everything that copy has", async () => {
    const cluster = await running(["a", "b", "c"]);
    for (let i = 0; i < 5; i++) await cluster.put(`/f${i}`, `${i}`);
    await cluster.run(500);
    const [a, b, c] = ["a", "b", "c"].map((name) => cluster.box(name)) as [Box, Box, Box];
    const gone = [b.incarnation, c.incarnation];
    b.crash();
    c.crash();

    const record = await recover(cluster, a, gone);

    expect(refused(record)).toBe("");
    expect(record).toMatchObject({ epoch: 1, fromBox: "a", lastIndex: a.view()!.applied });
    const after = await cluster.put("/after", "1");
    expect(after).toMatchObject({ generation: 2, boxes: ["a"] });
    for (let i = 0; i < 5; i++) expect(a.content(`/f${i}`)).toBe(`${i}`);
    expect(a.view()!.config.recovery).toMatchObject({ epoch: 1, fromBox: "a" });

    a.crash();
    await a.start();
    expect((await cluster.put("/later", "1")).generation).toBe(2);
    expect(a.content("/after")).toBe("1");
    expect(a.view()!.config.members.map((member) => member.box)).toEqual(["a"]);
  });

  test("the members given up are banned for good, and new disks under their names are taken in", async () => {
    const cluster = await running(["a", "b", "c"]);
    await cluster.put("/x", "1");
    await cluster.run(500);
    const [a, b, c] = ["a", "b", "c"].map((name) => cluster.box(name)) as [Box, Box, Box];
    const gone = [b.incarnation, c.incarnation];
    b.crash();
    c.crash();
    await recover(cluster, a, gone);
    await cluster.put("/y", "2");

    await b.start();
    const declare = (revision: number) => {
      const members = [a, b, c].map(({ name, incarnation }) => ({ box: name, role: "voter", incarnation }));
      const call = { revision, hash: `${revision}`, members, expectedConfigIndex: undefined };
      return cluster.settle(a.host.proposeMembership(1, call));
    };
    expect((await declare(1))?.message).toContain("banned");
    expect(b.view()).toMatchObject({ generation: 1 });
    expect(b.network.isUp("raft", "a")).toBe(false);

    b.crash();
    for (const box of [b, c]) {
      box.wipe();
      await box.start();
    }
    expect(await declare(2)).toBeUndefined();
    await cluster.until(() => a.host.membershipReached(1), 20_000, "members");
    await cluster.put("/z", "3");
    await cluster.run(500);
    expect(b.network.isUp("raft", "a")).toBe(true);
    for (const box of [b, c]) for (const path of ["/x", "/y", "/z"]) expect(box.content(path)).toBeDefined();
  });

  test("a survivor that was not chosen is taken in anew by the next generation", async () => {
    const cluster = await running(["a", "b", "c", "d", "e"]);
    await cluster.put("/x", "1");
    await cluster.run(500);
    const gone = ["c", "d", "e"].map((name) => cluster.box(name));
    for (const box of gone) box.crash();
    const [a, b] = [cluster.box("a"), cluster.box("b")];

    const record = await recover(
      cluster,
      a,
      gone.map((box) => box.incarnation),
    );
    expect(refused(record)).toBe("");
    await cluster.put("/y", "2");
    const members = [a, b].map(({ name, incarnation }) => ({ box: name, role: "learner", incarnation }));
    members[0]!.role = "voter";
    const call = { revision: 1, hash: "1", members, expectedConfigIndex: undefined };
    expect(await cluster.settle(a.host.proposeMembership(1, call))).toBeUndefined();
    await cluster.until(() => b.view()?.generation === 2 && b.view()?.role === "learner", 20_000, "b");
    await cluster.until(() => b.content("/y") === "2", 5_000, "content");
  });

  test("2+1 goes on when the other member and the witness are lost", async () => {
    const cluster = await running(["a", "b", "w1"]);
    await cluster.put("/x", "1");
    await cluster.run(500);
    const [a, b, w] = ["a", "b", "w1"].map((name) => cluster.box(name)) as [Box, Box, Box];
    b.crash();
    w.crash();

    const record = await recover(cluster, a, [b.incarnation, recordAtWitness(a)]);

    expect(refused(record)).toBe("");
    expect(await cluster.put("/y", "2")).toMatchObject({ generation: 2, boxes: ["a"] });
  });

  test("a leader lost for good that had engaged the witness: its record is given up, the witness stays", async () => {
    const cluster = await running(["a", "b", "w1"]);
    const leader = await cluster.elected();
    const other = cluster.box(leader.name === "a" ? "b" : "a");
    const witness = recordAtWitness(other);
    other.crash();
    await cluster.put("/only-there", "1");
    leader.crash();
    await other.start();
    await cluster.run(3_000);
    expect(cluster.leader()).toBeUndefined();

    const record = await recover(cluster, other, [leader.incarnation, witness]);

    expect(refused(record)).toBe("");
    expect(cluster.box("w1").witness?.records).toBe(0);
    expect(await cluster.put("/y", "2")).toMatchObject({ generation: 2, boxes: [other.name] });
    await leader.start();
    await cluster.run(3_000);
    expect(leader.view()?.isLeader).toBe(false);
  });

  test("is refused without consent, beside a quorum, while one given up answers, and for an epoch that was executed", async () => {
    const cluster = await running(["a", "b", "c"]);
    await cluster.put("/x", "1");
    const [a, b, c] = ["a", "b", "c"].map((name) => cluster.box(name)) as [Box, Box, Box];
    const both = [b.incarnation, c.incarnation];

    expect(refused(await recover(cluster, a, both, { acceptDataLoss: false }))).toContain("acceptDataLoss");
    expect(refused(await recover(cluster, a, [c.incarnation]))).toContain("still has its quorum");
    expect(refused(await recover(cluster, a, [a.incarnation, b.incarnation]))).toContain("own disk");
    c.crash();
    expect(refused(await recover(cluster, a, both))).toContain("Box b answers");
    b.crash();
    const first = await recover(cluster, a, both);
    expect(refused(first)).toBe("");
    expect(await recover(cluster, a, both)).toEqual(first);
    expect(refused(await recover(cluster, a, both, { epoch: 0 }))).toContain("executed");
    expect(a.view()!.generation).toBe(2);
  });
});
