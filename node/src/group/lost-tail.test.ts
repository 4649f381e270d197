import { expect, test } from "vitest";
import { must } from "../base/assert.ts";
import { type Box, Cluster } from "./testing/cluster.ts";

/** The bit that flips is in the last thing written: to the log it looks like a write that a power cut tore. */
function flipLastByte(box: Box): void {
  const name = must(
    [...box.disk.files.keys()].toSorted().findLast((one) => lastByte(box, one) >= 0),
    "a segment",
  );
  box.disk.flipBit(name, lastByte(box, name), 0);
}

/** The bit that flips lies before what was written well: damage, not a torn write. */
function flipMiddleByte(box: Box): void {
  const name = must(
    [...box.disk.files.keys()].find((one) => lastByte(box, one) >= 0),
    "a segment",
  );
  box.disk.flipBit(name, Math.floor(lastByte(box, name) / 2), 0);
}

function lastByte(box: Box, name: string): number {
  return must(box.disk.files.get(name), name).findLastIndex((byte) => byte !== 0);
}

/** A follower that acknowledged a write and comes back without it, while it hears nobody. */
async function withLostTail(names: string[]): Promise<{ cluster: Cluster; hurt: Box; others: string[] }> {
  const cluster = new Cluster();
  await cluster.start(...names);
  await cluster.bootstrap(names);
  await cluster.put("/x", "1");
  const leader = await cluster.elected();
  const hurt = must(
    names.map((name) => cluster.box(name)).find((box) => box !== leader && !box.isWitness),
    "follower",
  );
  const others = names.filter((name) => name !== hurt.name);
  await cluster.until(() => hurt.content("/x") === "1");
  hurt.crash();
  flipLastByte(hurt);
  return { cluster, hurt, others };
}

/** Replica ids of a box in the leader's configuration. */
function idsOf(cluster: Cluster, { name }: Box): number[] {
  const members = cluster.leader()?.view()?.config.members ?? [];
  return members.filter(({ box }) => box === name).map(({ replica }) => replica);
}

test("a follower that lost what it had acknowledged is replaced as soon as its leader speaks of it", async () => {
  const { cluster, hurt } = await withLostTail(["a", "b", "c"]);

  await hurt.start();
  await cluster.until(() => `${idsOf(cluster, hurt)}` === "4", 10_000, "its successor");

  await cluster.put("/y", "2");
  await cluster.until(() => hurt.content("/y") === "2" && hurt.content("/x") === "1", 10_000, "both writes");
  expect(hurt.view()).toMatchObject({ needsReplication: false, role: "follower" });
});

test("a member of a pair that lost what it had acknowledged is replaced with the witness's help", async () => {
  const { cluster, hurt } = await withLostTail(["a", "b", "w1"]);

  await hurt.start();
  await cluster.until(() => `${idsOf(cluster, hurt)}` === "4", 10_000, "its successor");
  await cluster.until(() => cluster.leader()?.view()?.witnessMode === "PAIR", 10_000, "PAIR");

  expect((await cluster.put("/y", "2")).copies).toBe(2);
});

test("who lost what it had acknowledged gives its vote to nobody, in this life and in later ones", async () => {
  const { cluster, hurt, others } = await withLostTail(["a", "b", "c"]);
  const [first, second] = others.map((name) => cluster.box(name)) as [Box, Box];
  await hurt.start();
  await cluster.until(() => hurt.view()?.needsReplication === true, 10_000, "the damage to be known");
  const leader = first.view()?.isLeader === true ? first : second;
  const other = leader === first ? second : first;

  leader.crash();
  await cluster.run(3_000);
  expect(other.view()).toMatchObject({ isLeader: false });
  hurt.crash();
  await hurt.start();
  await cluster.run(3_000);
  expect(other.view()).toMatchObject({ isLeader: false });
  expect(hurt.view()).toMatchObject({ needsReplication: true });

  await leader.start();
  await cluster.until(() => `${idsOf(cluster, hurt)}` === "4", 10_000, "its successor");
  await cluster.until(() => hurt.content("/x") === "1", 10_000, "the write");
  hurt.crash();
  await hurt.start();
  await cluster.until(() => hurt.view()?.role === "follower", 10_000, "a healthy replica after the next start");
});

test.each([
  ["the successor is well", () => {}],
  ["the successor lost its state as well", (hurt: Box) => hurt.loseState()],
  ["the successor lost its log as well", flipMiddleByte],
])("a replacement goes on under the next leader after a power cut of everyone: %s", async (_, harm) => {
  for (const names of [
    ["a", "b", "c"],
    ["a", "b", "w1"],
  ]) {
    const { cluster, hurt } = await withLostTail(names);
    await hurt.start();
    await cluster.until(
      () => hurt.view()?.config.members.length === 0,
      10_000,
      "its successor, which knows nobody yet",
    );
    for (const name of names) cluster.box(name).crash();
    harm(hurt);
    for (const name of names) await cluster.box(name).start();

    const isWhole = () => idsOf(cluster, hurt).length === 1 && hurt.content("/x") === "1";
    await cluster.until(isWhole, 20_000, `one whole replica of ${hurt.name} among ${names}`);
    expect(hurt.view()).toMatchObject({ needsReplication: false });
  }
});
