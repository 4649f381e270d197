import { describe, expect, test } from "vitest";
import { Cluster, commandOf, putCommand } from "./testing/cluster.ts";

async function idle(names: string[]): Promise<{ cluster: Cluster; messages: () => number }> {
  const cluster = new Cluster();
  await cluster.start(...names);
  await cluster.bootstrap(names);
  await cluster.put("/x", "1");
  let count = 0;
  for (const box of cluster.boxes.values()) {
    const { network } = box;
    const send = network.send.bind(network);
    network.send = (service, to, bytes) => {
      if (bytes.length > 2) count++;
      return send(service, to, bytes);
    };
  }
  await cluster.run(5_000);
  return {
    cluster,
    messages: () => {
      const counted = count;
      count = 0;
      return counted;
    },
  };
}

describe("an idle group", () => {
  test("sends nothing but signs of life, and answers at once when needed", async () => {
    const { cluster, messages } = await idle(["a", "b", "c"]);
    const term = cluster.leader()!.view()!.term;
    messages();

    await cluster.run(5_000);
    expect(messages()).toBe(0);

    const before = cluster.clock.now();
    await cluster.put("/y", "2");
    expect(cluster.clock.now() - before).toBeLessThan(20);
    expect(cluster.leader()!.view()!.term).toBe(term);
  });

  test("comes to rest whenever it was woken: its beats may fall on any tick", async () => {
    const { cluster, messages } = await idle(["a", "b", "w"]);
    for (let phase = 0; phase < 10; phase++) {
      await cluster.run(1_000 + phase * 10);
      await cluster.put(`/at/${phase}`, "1");
      await cluster.run(1_000);
      messages();
      await cluster.run(1_000);
      expect([phase, messages()]).toEqual([phase, 0]);
    }
  });

  test("stays at rest while a status asks each second how stale it is, which is proven anew twice a minute", async () => {
    const { cluster, messages } = await idle(["a", "b", "c"]);
    const leader = await cluster.elected();
    const follower = ["a", "b", "c"].map((name) => cluster.box(name)).find((box) => box !== leader)!;
    const proven: number[] = [];
    let restless = 0;
    messages();

    for (let second = 0; second < 120; second++) {
      proven.push(follower.host.stalenessMs(1, "report"));
      await cluster.run(1_000);
      if (messages() > 0) restless++;
    }

    expect(proven.slice(1)).not.toContain(Number.POSITIVE_INFINITY);
    expect(Math.max(...proven.slice(1))).toBeLessThan(32_000);
    expect(restless).toBeLessThanOrEqual(6);
  });

  test("is no longer SOLO: whoever leads alone rests only when its peer counts again", async () => {
    const { cluster, messages } = await idle(["a", "b", "w"]);
    const leader = await cluster.elected();
    const peer = leader.name === "a" ? "b" : "a";
    // Often enough that SOLO lasts for seconds.
    for (let i = 0; i < 5; i++) {
      await cluster.put(`/awake/${i}`, "1");
      cluster.hub.part(leader.name, [peer]);
      await cluster.settle(leader.propose(putCommand(`/solo/${i}`, "1")));
      expect(leader.view()).toMatchObject({ witnessMode: "SOLO", isLeader: true });
      cluster.hub.healAll();
      if (i < 4) await cluster.until(() => leader.view()?.witnessMode === "PAIR", 20_000, "PAIR");
    }

    await cluster.run(20_000);
    expect(leader.view()).toMatchObject({ witnessMode: "PAIR", isLeader: true });
    messages();
    await cluster.run(5_000);
    expect(messages()).toBe(0);
    leader.crash();
    await cluster.put("/after", "1");
  });

  test("keeps little of its log on every member, and goes on from there, also after a restart of one", async () => {
    const { cluster } = await idle(["a", "b", "w"]);
    for (let i = 0; i < 100; i++) await cluster.put(`/file/${i}`, "x".repeat(1_000));
    const entries = () => ["a", "b"].map((name) => cluster.box(name).host.stats().logs[0]!.entries);
    expect(Math.min(...entries())).toBeGreaterThan(100);

    await cluster.run(20_000);
    expect(Math.max(...entries())).toBeLessThanOrEqual(16);

    const leader = await cluster.elected();
    const other = cluster.box(leader.name === "a" ? "b" : "a");
    other.crash();
    await cluster.put("/while/away", "1");
    await other.start();
    await cluster.put("/after", "2");
    await cluster.until(() => other.content("/after") === "2", 20_000, "the one that was away has all");
    expect(other.content("/while/away")).toBe("1");
    expect(other.content("/file/7")).toBe("x".repeat(1_000));
  });

  test("elects a leader when its own dies in silence", async () => {
    const { cluster } = await idle(["a", "b", "c"]);
    const leader = await cluster.elected();

    leader.crash();
    const before = cluster.clock.now();
    await cluster.put("/y", "2");

    expect(cluster.clock.now() - before).toBeLessThan(1_500);
  });

  test("elects a leader when its own is cut off", async () => {
    const { cluster } = await idle(["a", "b", "c"]);
    const leader = await cluster.elected();
    cluster.hub.part(leader.name, ["a", "b", "c"]);

    const before = cluster.clock.now();
    await cluster.until(() => cluster.leader() !== leader, 3_000, "another leader");

    expect(cluster.clock.now() - before).toBeLessThan(1_500);
  });
});

describe("refusals", () => {
  test("a full disk refuses writes and takes deletes", async () => {
    const { cluster } = await idle(["a"]);
    cluster.box("a").diskLow = true;
    const remove = commandOf({
      op: { $case: "delete", value: { path: "/x", recursive: false, condition: undefined } },
    });

    const put = await cluster.settle(cluster.box("a").propose(putCommand("/y", "1")));
    const deleted = await cluster.settle(cluster.box("a").propose(remove));

    expect(put).toMatchObject({ refusal: { code: "DISK_FULL" } });
    expect(deleted).toMatchObject({ kind: "applied" });
  });

  test("a follower names the leader", async () => {
    const { cluster } = await idle(["a", "b", "c"]);
    const leader = await cluster.elected();
    const follower = ["a", "b", "c"].map((name) => cluster.box(name)).find((box) => box !== leader)!;

    const outcome = await cluster.settle(follower.propose(putCommand("/y", "1")));

    expect(outcome).toMatchObject({ refusal: { code: "NO_LEADER", leaderBox: leader.name } });
  });

  test("an entry too large is refused alone", async () => {
    const { cluster } = await idle(["a"]);

    const both = await Promise.all(
      [putCommand("/big", "x".repeat(5 << 20)), putCommand("/small", "1")].map((command) =>
        cluster.settle(cluster.box("a").propose(command)),
      ),
    );

    expect(both).toMatchObject([{ refusal: { code: "TOO_LARGE" } }, { kind: "applied" }]);
  });

  test("a frame that makes no sense is dropped", async () => {
    const { cluster } = await idle(["a", "b", "c"]);

    for (const bytes of [[10], [10, 200, 1, 1], [255, 255, 255, 255, 255, 255, 255, 255, 255, 255]]) {
      cluster.box("a").network.send("raft", "b", Buffer.from(bytes));
    }

    await cluster.put("/y", "2");
  });
});

describe("a leader whose disk stalls", () => {
  test("for less than the longest election timeout goes on leading: an election would take longer", async () => {
    const { cluster } = await idle(["a", "b", "c"]);
    const leader = await cluster.elected();
    await cluster.put("/x", "1");
    const term = leader.view()?.term;
    leader.disk.stall();
    const written = leader.propose(putCommand("/y", "2"));
    await cluster.run(250);
    leader.disk.resume();

    expect(await cluster.settle(written)).toMatchObject({ kind: "applied" });
    expect(leader.view()).toMatchObject({ isLeader: true, term });
  });

  test("gives way to another within elections, and follows when the disk is back", async () => {
    const { cluster } = await idle(["a", "b", "c"]);
    const old = await cluster.elected();
    old.disk.stall();

    const stuck = old.propose(putCommand("/stuck", "1"), 1, 10_000);
    await cluster.until(() => cluster.leader() !== undefined && cluster.leader() !== old, 3_000, "another leader");
    await cluster.put("/y", "2");
    old.disk.resume();
    await cluster.settle(stuck);
    await cluster.run(500);

    expect(old.content("/y")).toBe("2");
    expect(old.content("/stuck")).toBe(cluster.leader()!.content("/stuck"));
  });
});

describe("chunks", () => {
  const chunk = Buffer.alloc(33, 7);

  test("an entry is refused while its leader lacks a chunk, and acknowledged only by members that have it", async () => {
    const { cluster } = await idle(["a", "b", "c"]);
    const leader = await cluster.elected();
    const command = putCommand("/big", "", { chunks: [chunk] });

    expect(await cluster.settle(leader.propose(command))).toMatchObject({
      refusal: { code: "COPIES_UNAVAILABLE", applied: false, details: { chunk: chunk.toString("hex") } },
    });
    leader.chunks.add(chunk.toString("hex"));
    const outcome = await cluster.settle(leader.propose(command));

    expect(outcome).toMatchObject({ kind: "applied" });
    if (outcome.kind !== "applied") return;
    for (const name of outcome.boxes) expect(cluster.box(name).chunks.has(chunk.toString("hex"))).toBe(true);
  });
});

describe("locks", () => {
  const acquire = (wait: boolean) =>
    commandOf({
      op: { $case: "acquire", value: { path: "/l", kind: "mutex", slots: 1, ttlMs: 500, wait, owner: "" } },
    });

  test("one expires after its time, on a new leader after its time in full, and the next waiter is told", async () => {
    const { cluster } = await idle(["a", "b", "c"]);
    const granted: string[] = [];
    for (const name of ["a", "b", "c"]) {
      cluster.box(name).host.onLocks((_log, events) => granted.push(...events.map((event) => `${name} ${event.kind}`)));
    }
    const leader = await cluster.elected();
    const first = { ...acquire(false), requestId: Buffer.alloc(16, 1) };
    const second = { ...acquire(true), requestId: Buffer.alloc(16, 2) };
    for (const command of [first, second]) command.requestTimeMs = leader.view()!.logTimeMs;

    await cluster.settle(leader.propose(first));
    const waiting = await cluster.settle(leader.propose(second));
    expect(waiting).toMatchObject({ reply: { result: { $case: "waiting" } } });
    await cluster.run(400);
    expect(granted).toEqual([]);
    await cluster.run(300);

    expect(granted.sort()).toEqual(["a lock-granted", "b lock-granted", "c lock-granted"]);
  });
});
