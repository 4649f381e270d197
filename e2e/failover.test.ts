import { startTimeOf } from "@nexus-federation/operator/backends/local/process-info.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { pause, quantile, until } from "./harness/run.ts";
import { Workload } from "./harness/workload.ts";

let federation: Federation;
let load: Workload;
const gapsMs: number[] = [];

beforeAll(async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
  load = new Workload(federation.client()).start();
});
afterAll(async () => {
  await load?.stop();
  console.log(
    `failover under load, ${gapsMs.length} faults: p50 ${quantile(gapsMs, 0.5).toFixed(0)} ms, p99 ${quantile(gapsMs, 0.99).toFixed(0)} ms, ${load?.acknowledged.length} writes acknowledged`,
  );
  expect(await federation?.down()).toEqual([]);
});

/** Kills the boxes at one moment and waits until writes are acknowledged again and every copy is whole. */
async function killed(boxes: string[]): Promise<void> {
  await federation.whole();
  await pause(200);
  const rows = await Promise.all(boxes.map((name) => federation.box(name)));
  const faultMs = performance.now();
  for (const { pid } of rows) process.kill(pid, "SIGKILL");
  const gapMs = await until("a write is acknowledged again", () => load.recoveredAfter(faultMs), 60_000);
  await Promise.all(rows.map(({ name, pid }) => federation.restarted(name, pid)));
  await federation.whole();
  if (boxes.length === 1) {
    gapsMs.push(gapMs);
    expect(gapMs).toBeLessThan(10_000);
  }
}

const others = (leader: string) => (leader === "nexus-1" ? "nexus-2" : "nexus-1");

test("kill -9 of the leader under load: writes are acknowledged again, and it comes back as a follower", async () => {
  for (let i = 0; i < 3; i++) await killed([await federation.leader()]);
});

test("kill -9 of the follower under load: the leader goes on with the witness and the copies become two again", async () => {
  await killed([others(await federation.leader())]);
});

test("kill -9 of the witness stops no write", async () => {
  await killed(["witness-1"]);
});

test("kill -9 of leader and follower at once under load: both come back with everything", async () => {
  const leader = await federation.leader();
  await killed([leader, others(leader)]);
});

test("kill -9 of leader and witness at once under load: they come back with everything", async () => {
  await killed([await federation.leader(), "witness-1"]);
});

test("kill -9 of follower and witness at once under load: they come back with everything", async () => {
  await killed([others(await federation.leader()), "witness-1"]);
});

test("kill -9 of every box at once: all come back with everything", async () => {
  await killed(["nexus-1", "nexus-2", "witness-1"]);
});

test("kill -9 of the supervisor and every box: the next up goes on with the data", async () => {
  const status = await federation.status();
  process.kill(status.supervisor, "SIGKILL");
  for (const box of status.boxes) process.kill(box.pid, "SIGKILL");
  const ran = await federation.start();
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  await federation.whole();
});

test("kill -9 of the supervisor: the boxes serve on, and the next up adopts them", async () => {
  const before = await federation.status();
  process.kill(before.supervisor, "SIGKILL");
  const since = load.acknowledged.length;
  await until("writes go on without a supervisor", () => load.acknowledged.length > since + 20);

  const ran = await federation.start();

  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  const pids = (status: typeof before) => status.boxes.map(({ name, pid }) => `${name} ${pid}`).sort();
  expect(pids(await federation.status())).toEqual(pids(before));
  await federation.whole();
});

test("after all that every acknowledged write reads back and every register is linearizable", async () => {
  await load.stop();
  expect(load.acknowledged.length).toBeGreaterThan(500);
  expect(load.wrongRegisters()).toEqual([]);
  expect(await load.missing(federation.client())).toEqual([]);
  expect(load.acknowledged.filter((ack) => ack.copies < 2 && !ack.degraded)).toEqual([]);
});

test("down ends boxes that nobody supervises any more, and the next up goes on with their data", async () => {
  const status = await federation.status();
  process.kill(status.supervisor, "SIGKILL");
  const alive = () => status.boxes.filter(({ pid }) => startTimeOf(pid) !== undefined).length;
  await until("the supervisor is gone", () => startTimeOf(status.supervisor) === undefined);
  expect(alive()).toBe(status.boxes.length);

  const down = await federation.nexus(["down"]);

  expect(down, down.stderr).toMatchObject({ code: 0 });
  expect(alive()).toBe(0);
  expect(await federation.start()).toMatchObject({ code: 0 });
  await federation.whole();
});
