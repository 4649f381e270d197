import { expect, test } from "vitest";
import { defaultSettings, regionTiming } from "./settings.ts";
import { Cluster, putCommand } from "./testing/cluster.ts";

test("what many groups write in one turn is one durable write and one frame a peer, on the leader and on its followers", async () => {
  const cluster = new Cluster();
  const names = ["a", "b", "c"];
  const logs = Array.from({ length: 40 }, (_, i) => i + 1);
  await cluster.start(...names);
  for (const log of logs) await cluster.bootstrap(names, log);
  const a = cluster.box("a");
  await cluster.until(() => logs.every((log) => a.view(log)?.isLeader), 5_000, "a leads all");
  await cluster.run(3_000);
  const frames = new Map<string, number>();
  const send = a.network.send.bind(a.network);
  a.network.send = (service, box, bytes) => {
    frames.set(box, (frames.get(box) ?? 0) + 1);
    return send(service, box, bytes);
  };
  const before = names.map((name) => cluster.box(name).diskWrites);

  const outcomes = await cluster.settle(Promise.all(logs.map((log) => a.propose(putCommand("/x", "1"), log))));

  expect(outcomes.map(({ kind }) => kind)).toEqual(logs.map(() => "applied"));
  const writes = names.map((name, i) => cluster.box(name).diskWrites - before[i]!);
  for (const count of writes) expect(count).toBeLessThanOrEqual(2);
  for (const count of frames.values()) expect(count).toBeLessThanOrEqual(3);
});

test("the heartbeats of many groups that are awake share their frames, at most one a peer and tick", async () => {
  const cluster = new Cluster({ host: { quiesceAfterBeats: 0 } });
  const names = ["a", "b", "c"];
  const logs = Array.from({ length: 40 }, (_, i) => i + 1);
  await cluster.start(...names);
  for (const log of logs) await cluster.bootstrap(names, log);
  const a = cluster.box("a");
  await cluster.run(1_000);
  let frames = 0;
  const send = a.network.send.bind(a.network);
  a.network.send = (service, box, bytes) => {
    frames++;
    return send(service, box, bytes);
  };

  await cluster.run(1_000);

  const each = (1_000 / regionTiming.heartbeatMs) * 2;
  expect(frames).toBeGreaterThanOrEqual(each);
  expect(frames).toBeLessThanOrEqual((1_000 / defaultSettings.tickMs) * 2);
  expect(frames).toBeLessThan((each * logs.length) / 4);
});
