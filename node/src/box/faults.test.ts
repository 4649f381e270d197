import type { Response } from "@nexus-federation/proto/request.ts";
import { describe, expect, test } from "vitest";
import { refusalIn } from "./ask.ts";
import { anyone, codeOf, Federation, type FederationSettings, writeOp } from "./testing/federation.ts";

const trio = ["a", "b", "w"];
const others = ["c", "d", "e", "f"];

async function withZone(more: string[] = ["c"], settings: FederationSettings = {}): Promise<Federation> {
  const federation = await Federation.start([...trio, ...more], { system: 3, ...settings });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  return federation;
}

function leaderOf(federation: Federation): string {
  const rule = federation.node("a").directory.zone("all");
  return "code" in rule ? "" : (federation.cluster.leader(rule.log)?.name ?? "");
}
const followerOf = (federation: Federation) => (leaderOf(federation) === "a" ? "b" : "a");

/** A write that only its first application can win. */
function createOp(path: string) {
  const op = writeOp(path, "once");
  if (op.$case === "mutate" && op.value.op?.$case === "write") {
    const condition = { ifMatch: Buffer.alloc(0), ifNoneMatch: true, fenceCounter: 0, fenceGeneration: 0 };
    op.value.op.value.condition = { ...condition, lockPath: "", ifExists: false };
  }
  return op;
}

test("a box that has no rule map yet is retried, not believed that a path has no zone", async () => {
  const federation = new Federation();
  await federation.cluster.start("a");
  federation.begin("a");

  expect(codeOf(await federation.write("a", "/docs/a", "x"))).toBe("ZONE_UNAVAILABLE");
  expect(await federation.read("a", "/zone:docs/a")).toBe("ZONE_UNAVAILABLE");
});

describe("a box with too much to do", () => {
  test.each([
    ["requests", { requestsMax: 20 }],
    ["bytes", { requestBytesMax: 100_000 }],
  ])("refuses what is above its limit of %s and says when to come again", async (_, limits) => {
    const federation = await withZone([], { limits });
    const text = "x".repeat(30_000);

    const sent = Array.from({ length: 60 }, (_one, i) => federation.send("a", writeOp(`/many/${i}`, text)));
    const answers = await federation.cluster.settle(Promise.all(sent));

    const refused = answers.map(refusalIn).filter((refusal) => refusal !== undefined);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(60);
    for (const { code, retryAfterMs } of refused)
      expect({ code, retryAfterMs }).toEqual({ code: "OVERLOADED", retryAfterMs: 50 });
    expect(codeOf(await federation.write("a", "/later", "x"))).toBe("");
  });
});

describe("boxes whose maps disagree", () => {
  /** Gives each box a map of its own, in which another box serves the zone. */
  function disagree(federation: Federation, next: Record<string, string>): void {
    for (const [box, member] of Object.entries(next)) {
      const { directory } = federation.node(box);
      const ghost = { ...federation.rule({ zone: "ghost", pattern: "/ghost/**" }, 999), members: [member] };
      const map = { epoch: directory.epoch, rules: [...directory.map.rules, ghost] };
      directory.install({ revision: 1_000_000, map, boxes: directory.boxes });
    }
  }

  test("do not send a request to and fro", async () => {
    const federation = await withZone(["c", "d"]);
    disagree(federation, { c: "d", d: "c" });
    expect(codeOf(await federation.write("c", "/ghost/x", "1", { timeoutMs: 1_000 }))).toBe("LOOP");
  });

  test("pass it on over four boxes at most", async () => {
    const federation = await withZone(others);
    disagree(federation, { a: "c", c: "d", d: "e", e: "f", f: "b" });
    const refused = await federation.write("a", "/ghost/x", "1", { timeoutMs: 1_000 });
    expect(refusalIn(refused)).toMatchObject({ code: "LOOP", message: expect.stringContaining("a, c, d, e") });
  });
});

describe("a box that hangs", () => {
  test("leaves the outcome unknown, and the same request id applies once", async () => {
    const federation = await withZone();
    const leader = leaderOf(federation);
    await federation.write("c", "/warm", "up");
    const requestId = Buffer.alloc(16, 3);
    federation.cluster.hub.cut(leader, "c");
    federation.cluster.hub.cut(followerOf(federation), "c");

    const lost = await federation.ask("c", createOp("/x"), { requestId, timeoutMs: 3_000 });
    federation.cluster.hub.healAll();
    await federation.cluster.run(6_000);
    const again = await federation.ask("c", createOp("/x"), { requestId });

    expect(codeOf(lost)).toBe("UNKNOWN_OUTCOME");
    expect(codeOf(again)).toBe("");
    expect(codeOf(await federation.ask("c", createOp("/x")))).toBe("PRECONDITION_FAILED");
  });

  test("is waited for by the edge, which repeats the request with the same id until it is answered", async () => {
    const federation = await withZone();
    await federation.write("c", "/warm", "up");
    federation.cluster.hub.cut(leaderOf(federation), "c");

    const pending = federation.send("c", createOp("/x"), { timeoutMs: 20_000 });
    await federation.cluster.run(2_500);
    federation.cluster.hub.healAll();

    expect(codeOf(await federation.cluster.settle(pending, 25_000))).toBe("");
  });

  test("is not waited for when it led: a write over another member is answered once that leads, not after the attempt's time", async () => {
    const federation = await withZone([]);
    const { cluster } = federation;
    const [leader, follower] = [leaderOf(federation), followerOf(federation)];
    await federation.write(follower, "/warm", "up");
    cluster.hub.part(leader, [follower, "w"]);
    const cutMs = cluster.clock.now();

    const written = await federation.write(follower, "/x", "1");

    expect(codeOf(written)).toBe("");
    expect(cluster.clock.now() - cutMs).toBeLessThan(1_200);
  });

  test("is not waited for once another leads: whenever a write came, it is answered right after the election", async () => {
    const federation = await withZone([]);
    const { cluster } = federation;
    const [leader, follower] = [leaderOf(federation), followerOf(federation)];
    await federation.write(follower, "/warm", "up");
    cluster.hub.part(leader, [follower, "w"]);
    // Late, as a client that first found out that its own box hangs, but before the earliest election.
    await cluster.run(120);
    const lateMs: number[] = [];
    let leadsFromMs: number | undefined;
    cluster.box(follower).host.onLeadership((_, view) => {
      if (view.isLeader) leadsFromMs = cluster.clock.now();
    });
    const writes: Promise<void>[] = [];
    for (let i = 0; leadsFromMs === undefined; i++) {
      writes.push(
        federation.write(follower, `/x/${i}`, "1").then((response) => {
          expect(codeOf(response)).toBe("");
          lateMs.push(cluster.clock.now() - leadsFromMs!);
        }),
      );
      await cluster.run(10);
    }
    await cluster.settle(Promise.all(writes));

    expect(writes.length).toBeGreaterThan(2);
    expect(Math.max(...lateMs)).toBeLessThan(50);
  });

  test("is gone round: a box cut off from the leader is served over another member", async () => {
    const federation = await withZone();
    const leader = leaderOf(federation);
    federation.cluster.hub.part(leader, ["c"]);
    await federation.cluster.run(6_000);

    const written = await federation.write("c", "/x", "round");

    expect(codeOf(written)).toBe("");
    expect(await federation.read("c", "/x")).toBe("round");
  });
});

/** Writes one file after the other from box c until told to stop; the codes of what was refused. */
function load(federation: Federation, prefix: string) {
  let stopped = false;
  let written = 0;
  const refused: string[] = [];
  const run = async () => {
    for (let i = 0; !stopped; i++) {
      const response: Response = await federation.send("c", writeOp(`${prefix}/${i}`, `${i}`), { timeoutMs: 5_000 });
      const code = codeOf(response);
      if (code === "") written++;
      else refused.push(code);
    }
  };
  const running = run();
  const stop = async () => {
    stopped = true;
    await federation.cluster.settle(running);
    return { written, refused };
  };
  return { stop };
}

describe("under load", () => {
  test("rules change, and requests routed by the former map find the new zone", async () => {
    const federation = await withZone();
    const deep = load(federation, "/deep/er");
    await expect(federation.zone({ zone: "deep", pattern: "/deep/**" }, ["c"])).rejects.toThrow(/NOT_EMPTY/);
    const { refused: before } = await deep.stop();
    const other = load(federation, "/beside");
    await federation.zone({ zone: "new", pattern: "/new/**", mode: "strong", copiesDeclared: 1 }, ["c"]);
    const writes = await Promise.all(["a", "b"].map((box) => federation.write(box, `/new/${box}`, box)));
    const { refused, written } = await other.stop();

    expect([...before, ...refused]).toEqual([]);
    expect(written).toBeGreaterThan(10);
    expect(writes.map((one) => one.receipt?.zone)).toEqual(["new", "new"]);
  });

  test("a zone goes from strong_ha to strong, to eventual and back, and no write is refused", async () => {
    const federation = await withZone();
    const writing = load(federation, "/x");
    const { admin } = federation.node("a").box;

    for (const mode of ["strong", "eventual", "strong", "strong_ha"]) {
      const rule = federation.rule({ zone: "all", pattern: "/**", mode }, 0);
      await federation.admin(admin.setPolicy({ zone: "all", rule }, anyone));
      await federation.cluster.run(300);
      const written = await federation.write("b", "/look", mode);
      expect(written.receipt?.mode).toBe(mode);
    }

    const { refused, written } = await writing.stop();
    expect(refused).toEqual([]);
    expect(written).toBeGreaterThan(50);
  });
});
