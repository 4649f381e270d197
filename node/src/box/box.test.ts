import { describe, expect, test } from "vitest";
import { codeOf, Federation, writeOp } from "./testing/federation.ts";

const trio = ["a", "b", "w"];

async function withZone(): Promise<Federation> {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  return federation;
}

function leaderOf(federation: Federation, zone: string): string {
  const log = federation.node("a").directory.zone(zone);
  const leader = "code" in log ? undefined : federation.cluster.leader(log.log);
  return leader?.name ?? "";
}

describe("a federation of three boxes and a witness", () => {
  test("a file written through any box is read through every other, with a truthful receipt", async () => {
    const federation = await withZone();

    const written = await federation.write("c", "/docs/a.txt", "hello");

    expect(codeOf(written)).toBe("");
    expect(written.receipt).toMatchObject({
      zone: "all",
      mode: "strong_ha",
      copies: 2,
      degraded: false,
      stalenessMs: 0,
    });
    expect(written.receipt?.regions).toEqual(["region-a", "region-b"]);
    for (const box of ["a", "b", "c"]) expect(await federation.read(box, "/docs/a.txt")).toBe("hello");
  });

  test("a path without a rule has no zone, and a zone answers under its own name too", async () => {
    const federation = await Federation.start(trio, { system: 3 });
    expect(await federation.read("a", "/docs/a.txt", { timeoutMs: 500 })).toBe("ZONE_UNAVAILABLE");
    await federation.zone({ zone: "docs", pattern: "/docs/**" }, trio);

    await federation.write("b", "/docs/a.txt", "one");

    expect(await federation.read("a", "/zone:docs/a.txt")).toBe("one");
    expect(await federation.read("a", "/other")).toBe("NO_ZONE");
  });

  test("when the leader dies the request that was under way is answered by its successor, degraded", async () => {
    const federation = await withZone();
    await federation.write("c", "/docs/a.txt", "before");

    federation.crash(leaderOf(federation, "all"));
    const written = await federation.write("c", "/docs/a.txt", "after");

    expect(codeOf(written)).toBe("");
    expect(written.receipt).toMatchObject({ copies: 1, degraded: true });
    expect(await federation.read("c", "/docs/a.txt")).toBe("after");
  });

  test("which content a box holds is told to no client; without addresses the question is whether it is there", async () => {
    const federation = await withZone();
    const asked = (addresses: Buffer[]) =>
      federation.ask("a", { $case: "hasChunks", value: { log: 1, addresses } }).then(codeOf);

    expect(await asked([Buffer.alloc(32)])).toBe("DENIED");
    expect(await asked([])).toBe("");
  });

  test("copies that cannot be had are refused before anything is written", async () => {
    const federation = await withZone();
    const other = leaderOf(federation, "all") === "a" ? "b" : "a";
    federation.crash(other);
    await federation.cluster.run(2_000);

    const refused = await federation.write("c", "/docs/a.txt", "two copies", { minCopies: 2, timeoutMs: 3_000 });

    expect(codeOf(refused)).toBe("COPIES_UNAVAILABLE");
    expect(await federation.read("c", "/docs/a.txt")).toBe("NOT_FOUND");
  });

  test("a repeated request with the same id is applied once, and its receipt is of that time", async () => {
    const federation = await withZone();
    const requestId = Buffer.alloc(16, 7);
    const first = await federation.ask("a", writeOp("/x", "1"), { requestId });
    await federation.write("b", "/x", "2");

    const again = await federation.ask("c", writeOp("/x", "1"), {
      requestId,
      requestTimeMs: first.receipt?.logTimeMs ?? 0,
    });

    expect(codeOf(again)).toBe("");
    expect(again.result).toEqual(first.result);
    expect(again.receipt).toMatchObject({ index: first.receipt?.index, token: first.receipt?.token });
    expect(await federation.read("a", "/x")).toBe("2");
  });

  test("the map on disk serves a box that restarts while the system zone is gone", async () => {
    const federation = await Federation.start(["s", "a", "b", "w"], { system: 1 });
    await federation.zone({ zone: "all", pattern: "/**" }, ["a", "b", "w"], "s");
    await federation.write("a", "/x", "kept");

    federation.crash("s");
    federation.crash("a");
    await federation.restart("a");
    await federation.cluster.run(1_000);

    expect(await federation.read("a", "/x")).toBe("kept");
    expect(codeOf(await federation.write("a", "/x", "more"))).toBe("");
  });
});

describe("reads", () => {
  test("a member that is no leader serves stale reads with a proven bound and refuses what it cannot prove", async () => {
    const federation = await withZone();
    await federation.write("a", "/x", "1");
    const follower = leaderOf(federation, "all") === "a" ? "b" : "a";
    const op = { $case: "read", value: { path: "/x", infoOnly: false } } as const;

    const stale = await federation.ask(follower, op, { readPreference: "local", maxStalenessMs: 1_000 });
    federation.crash(follower === "a" ? "b" : "a");
    federation.cluster.box("w").crash();
    await federation.cluster.run(3_000);
    const refused = await federation.ask(follower, op, { readPreference: "local", maxStalenessMs: 1_000 });

    expect(codeOf(stale)).toBe("");
    expect(stale.servedBy).toBe(follower);
    expect(stale.receipt?.stalenessMs).toBeLessThanOrEqual(1_000);
    expect(codeOf(refused)).toBe("STALENESS_EXCEEDED");
  });

  test("nearest is the replica with the shortest measured way", async () => {
    const federation = await withZone();
    await federation.write("c", "/x", "1");
    const { hub } = federation.cluster;
    const op = { $case: "read", value: { path: "/x", infoOnly: false } } as const;
    const ask = async () =>
      (await federation.ask("c", op, { readPreference: "nearest", maxStalenessMs: 5_000 })).servedBy;
    for (const [far, near] of [
      ["a", "b"],
      ["b", "a"],
    ] as const) {
      hub.slow("c", far, 40);
      await federation.cluster.run(11_000);
      // The first asks measure anew, and begin to prove how fresh the copies are.
      for (let i = 0; i < 2; i++) {
        await ask();
        await federation.cluster.run(1_000);
      }

      expect(await ask()).toBe(near);
      hub.slow("c", far, 0);
    }
  });

  test("demanded copies are proven by the leader when a member that knows only itself was asked", async () => {
    const federation = await withZone();
    await federation.write("c", "/x", "1", { minCopies: 2 });
    const follower = leaderOf(federation, "all") === "a" ? "b" : "a";
    const op = { $case: "read", value: { path: "/x", infoOnly: false } } as const;
    const stale = { readPreference: "nearest", maxStalenessMs: 5_000 };

    const proven = await federation.ask(follower, op, { ...stale, minCopies: 2 });

    expect(codeOf(proven)).toBe("");
    expect(proven.receipt?.copies).toBe(2);
    const local = await federation.ask(follower, op, { ...stale, readPreference: "local", minCopies: 2 });
    expect(codeOf(local)).toBe("COPIES_UNAVAILABLE");
    expect(codeOf(await federation.ask(follower, op, { ...stale, minCopies: 3 }))).toBe("COPIES_UNAVAILABLE");
  });

  test("a refusal names the path of the federation, or the zone that was addressed", async () => {
    const federation = await Federation.start(trio, { system: 3 });
    await federation.zone({ zone: "docs", pattern: "/docs/**" }, trio);
    const refusal = async (path: string) => {
      const { result } = await federation.ask("a", { $case: "stat", value: { path } });
      return result?.$case === "failure" ? result.value.message : "";
    };

    expect(await refusal("/docs/none")).toBe('nothing stands at "/docs/none"');
    expect(await refusal("/zone:docs/none")).toBe('nothing stands at "/zone:docs/none"');
  });

  test("a token makes any box show what its holder wrote, another zone's token is ignored", async () => {
    const federation = await withZone();
    await federation.zone({ zone: "other", pattern: "/other/**" }, ["c"]);
    const written = await federation.write("a", "/x", "mine");
    const after = written.receipt?.token ?? Buffer.alloc(0);

    const options = { readPreference: "local", maxStalenessMs: 60_000, after };
    expect(await federation.read("b", "/x", options)).toBe("mine");
    expect(await federation.read("c", "/other/none", { after })).toBe("NOT_FOUND");
    expect(await federation.read("a", "/x", { after: Buffer.from("no token") })).toBe("INVALID");
  });

  test("a listing shows the names of deeper rules and marks those that cannot be reached", async () => {
    const federation = await withZone();
    await federation.zone({ zone: "far", pattern: "/far/**", mode: "strong", copiesDeclared: 1 }, ["c"]);
    await federation.write("a", "/near.txt", "x");
    const list = { path: "/", prefix: "", delimiter: "", limit: 0, page: "", recursive: false };
    const names = async () => {
      const response = await federation.ask("a", { $case: "list", value: list });
      const entries = response.result?.$case === "listing" ? response.result.value.entries : [];
      return entries.map((entry) => `${entry.name}${entry.unavailable ? " unavailable" : ""}`);
    };

    expect(await names()).toEqual(["far", "near.txt"]);
    federation.crash("c");
    await federation.cluster.run(2_000);
    expect(await names()).toEqual(["far unavailable", "near.txt"]);
  });
});

describe("locks", () => {
  const acquire = (wait: boolean) =>
    ({
      $case: "mutate",
      value: {
        op: { $case: "acquire", value: { path: "/l", kind: "mutex", slots: 1, ttlMs: 30_000, wait, owner: "" } },
      },
    }) as const;

  test("a waiter is granted the lock when its holder lets go, with a higher fence", async () => {
    const federation = await withZone();
    const first = await federation.ask("a", acquire(false));
    const lockId = first.result?.$case === "grant" ? first.result.value.lockId : Buffer.alloc(0);
    expect(codeOf(await federation.ask("b", acquire(false)))).toBe("LOCKED");

    const waiting = federation.send("c", acquire(true));
    await federation.cluster.run(500);
    await federation.ask("a", { $case: "mutate", value: { op: { $case: "release", value: { path: "/l", lockId } } } });
    const second = await federation.cluster.settle(waiting);

    expect(second.result?.$case).toBe("grant");
    expect(BigInt(second.receipt?.fence ?? 0)).toBeGreaterThan(BigInt(first.receipt?.fence ?? 0));
  });

  test("a wait that runs out is cancelled: the lock goes to nobody", async () => {
    const federation = await withZone();
    await federation.ask("a", acquire(false));

    const refused = await federation.ask("c", acquire(true), { timeoutMs: 1_000 });
    const lock = await federation.ask("a", { $case: "inspectLock", value: { path: "/l" } });

    expect(codeOf(refused)).toBe("LOCKED");
    expect(lock.result?.$case === "lock" ? lock.result.value.waiters : -1).toBe(0);
  });

  test("a wait beyond the limit is refused at once, naming the limit", async () => {
    const federation = await withZone();
    await federation.ask("a", acquire(false));
    const { clock } = federation.cluster;
    const sentMs = clock.now();

    const { result } = await federation.ask("c", acquire(true), { timeoutMs: 300_000 });

    expect(clock.now() - sentMs).toBeLessThan(1_000);
    expect(result).toMatchObject({ value: { code: "INVALID", message: expect.stringContaining("at most 120000 ms") } });
  });

  test("an eventual zone refuses locks and a strong_ha zone the concern of an authority", async () => {
    const federation = await withZone();
    await federation.zone({ zone: "soft", pattern: "/soft/**", mode: "eventual", copiesDeclared: 1 }, [
      "c",
      "a:learner",
    ]);
    const op = acquire(false);
    const soft = { ...op, value: { op: { ...op.value.op, value: { ...op.value.op.value, path: "/soft/l" } } } };

    expect(codeOf(await federation.ask("a", soft))).toBe("CONSISTENCY");
    expect(codeOf(await federation.write("a", "/x", "1", { writeConcern: "authority" }))).toBe("UNSUPPORTED_IN_MODE");
  });
});
