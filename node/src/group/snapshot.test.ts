import { expect, test } from "vitest";
import { Cluster, putCommand } from "./testing/cluster.ts";

/** A log of one member that has forgotten its beginning, and a box that is to learn it from a snapshot. */
async function learning(chunk: Buffer): Promise<Cluster> {
  const cluster = new Cluster({ host: { compactEntries: 10, keepEntries: 2 } });
  await cluster.start("a", "b");
  await cluster.bootstrap(["a"]);
  const leader = await cluster.elected();
  leader.chunks.add(chunk.toString("hex"));
  const command = putCommand("/big", "", { chunks: [chunk] });
  if (command.operation?.op?.$case === "write") command.operation.op.value.uploadIndex = 1;
  const put = await cluster.settle(leader.propose(command));
  expect(put).toMatchObject({ reply: { result: { $case: "operation" } } });
  for (let i = 0; i < 40; i++) await cluster.put(`/f${i}`, `${i}`);
  await cluster.run(3_000);
  await cluster.put("/last", "1");
  return cluster;
}

async function addLearner(cluster: Cluster): Promise<void> {
  const [a, b] = [cluster.box("a"), cluster.box("b")];
  const members = [
    { box: "a", role: "voter", incarnation: a.incarnation },
    { box: "b", role: "learner", incarnation: b.incarnation },
  ];
  const call = { revision: 1, hash: "1", members, expectedConfigIndex: undefined };
  expect(await cluster.settle(a.host.proposeMembership(1, call))).toBeUndefined();
}

test("a new member takes a snapshot whose chunks it lacks: it fetches them from the sender", async () => {
  const chunk = Buffer.alloc(33, 1);
  const cluster = await learning(chunk);
  const b = cluster.box("b");

  await addLearner(cluster);
  await cluster.until(() => b.up && b.view() !== undefined && b.content("/last") === "1", 5_000, "catching up");

  expect(b.chunks.has(chunk.toString("hex"))).toBe(true);
});

test("listeners are told of the index that a snapshot brought", async () => {
  const cluster = await learning(Buffer.alloc(33, 1));
  const b = cluster.box("b");
  const told: number[] = [];
  b.host.onApplied((_log, { index }) => told.push(index));

  await addLearner(cluster);
  await cluster.until(() => b.view() !== undefined && b.content("/last") === "1", 5_000, "catching up");

  expect(told[0]).toBeGreaterThan(40);
  expect(told.at(-1)).toBe(b.view()?.applied);
});

test("who waits for an index that a snapshot brings is called when the replica stands there", async () => {
  const cluster = await learning(Buffer.alloc(33, 1));
  const b = cluster.box("b");
  await addLearner(cluster);
  await cluster.until(() => b.host.has(1), 5_000, "the replica is made");

  let told = 0;
  let seen: number | undefined;
  b.host.onApplied((_log, { index }) => {
    told = index;
  });
  const look = () => {
    seen = Math.min(told, b.view()?.applied ?? 0);
  };
  b.host.whenApplied(1, 40, look, 5_000);
  await cluster.until(() => seen !== undefined, 5_000, "the snapshot");

  expect(seen).toBeGreaterThanOrEqual(40);
});
