import type { Request, RequestOptions, Response } from "@nexus-federation/proto/request.ts";
import { describe, expect, test } from "vitest";
import { type ErrorCode, NexusError } from "../base/errors.ts";
import { seededRandom } from "../base/seeded-random.ts";
import { VirtualClock } from "../group/testing/virtual-clock.ts";
import { Caller } from "./caller.ts";
import { SessionPool } from "./pool.ts";
import type { Done, Session } from "./session.ts";

interface Sent {
  atMs: number;
  request: Request;
  endpoint: string;
}
type Refused = { code: ErrorCode; retryAfterMs?: number; leaderBox?: string; details?: Record<string, string> };
type Reply = Refused | "lost" | "unsent" | "silence" | "done";

/** A caller over sessions whose answers are given in turn; the last one is given again and again. */
function rig(replies: Reply[], options: { endpoints?: string[]; inFlightMax?: number } = {}) {
  const clock = new VirtualClock();
  const sent: Sent[] = [];
  const session = (endpoint: string) =>
    ({
      endpoint,
      call(request: Request, done: Done) {
        sent.push({ atMs: clock.now(), request, endpoint });
        const reply = replies.length > 1 ? replies.shift()! : replies[0]!;
        if (reply === "silence") return 1;
        const lost = new NexusError("ZONE_UNAVAILABLE", "the stream broke");
        const response = typeof reply === "string" ? done0() : refusal(reply);
        const broken = reply === "lost" || reply === "unsent";
        clock.after(1, () => done(broken ? undefined : response, broken ? lost : undefined, reply !== "unsent"));
        return 1;
      },
      forget() {},
      close() {},
    }) as unknown as Session;
  const connect = async (endpoint: string) => session(endpoint);
  const pool = new SessionPool({ endpoints: options.endpoints ?? ["a:1"], connect, clock });
  const caller = new Caller({ pool, clock, random: seededRandom(2), inFlightMax: options.inFlightMax ?? 100 });
  const call = (timeoutMs = 1_000, mutating = true, zone = "z") => {
    const asked = { timeoutMs, requestTimeMs: 0, requestId: Buffer.alloc(16, 5) } as unknown as RequestOptions;
    return caller.call({ op: undefined, options: asked, zone, path: "/p", mutating, signal: undefined });
  };
  const settled = async (promise: Promise<Response>, ms = 5_000) => {
    const outcome = promise.then(
      () => "done",
      (error: NexusError) => error,
    );
    // The first session is opened by promises alone.
    for (let i = 0; i < 50; i++) await undefined;
    await clock.run(ms);
    return outcome;
  };
  return { clock, sent, pool, call, settled };
}

function done0(): Response {
  return { result: { $case: "empty", value: {} }, receipt: undefined, servedBy: "" } as unknown as Response;
}

function refusal(reply: Refused): Response {
  const failure = { message: "m", applied: false, retryAfterMs: 0, epoch: 0, leaderBox: "", details: {}, ...reply };
  return { result: { $case: "failure", value: failure } } as unknown as Response;
}

describe("retries of one call", () => {
  test("carry the same request id and the time that is left", async () => {
    const { sent, call, settled } = rig([{ code: "NO_LEADER" }, "lost", { code: "UNKNOWN_OUTCOME" }, "done"]);

    expect(await settled(call())).toBe("done");

    expect(sent).toHaveLength(4);
    for (const { request } of sent) expect(request.options?.requestId).toEqual(Buffer.alloc(16, 5));
    const left = sent.map(({ request }) => request.options?.timeoutMs ?? 0);
    expect(left).toEqual([...left].sort((a, b) => b - a));
    expect(left.at(-1)).toBeLessThan(1_000);
  });

  test("wait as long as an overloaded box asks", async () => {
    const { sent, call, settled } = rig([{ code: "OVERLOADED", retryAfterMs: 400 }, "done"]);

    expect(await settled(call())).toBe("done");

    expect(sent[1]!.atMs - sent[0]!.atMs).toBeGreaterThanOrEqual(400);
  });

  test("end when the wait asked for is longer than the time left", async () => {
    const { sent, call, settled } = rig([{ code: "OVERLOADED", retryAfterMs: 2_000 }]);

    expect(await settled(call())).toMatchObject({ code: "OVERLOADED" });
    expect(sent).toHaveLength(1);
  });

  test("are not made for an answer that will not change", async () => {
    for (const code of ["NOT_FOUND", "FENCED", "LOCKED", "DENIED", "INVALID"] as const) {
      const { sent, call, settled } = rig([{ code }]);
      expect(await settled(call())).toMatchObject({ code });
      expect(sent).toHaveLength(1);
    }
  });

  test("go to the log of the first attempt, whatever the map says by then; a map that was behind is no reason to fail", async () => {
    const details = { log: "9", generation: "1" };
    const asked = rig([{ code: "GENERATION_CHANGED", details }, "lost", { code: "GENERATION_CHANGED", details }]);
    const rule = { zone: "z", pattern: "/**", log: 7, generation: 1 };
    asked.pool.learnMap({ epoch: 1, rules: [rule] } as never, []);

    expect(await asked.settled(asked.call(1_000, true, ""))).toMatchObject({ code: "UNKNOWN_OUTCOME" });
    expect(asked.sent.map(({ request }) => request.options?.pinLog)).toEqual([7, 9, 9]);
  });

  test("are bounded in number by growing pauses", async () => {
    const { sent, call, settled } = rig([{ code: "NO_LEADER" }]);

    expect(await settled(call(10_000), 20_000)).toMatchObject({ code: "NO_LEADER" });
    expect(sent.length).toBeLessThan(250);
  });
});

describe("the end of the time", () => {
  test("leaves a write that was sent in doubt, and a read not", async () => {
    const write = rig(["silence"]);
    const read = rig(["silence"]);

    expect(await write.settled(write.call())).toMatchObject({ code: "UNKNOWN_OUTCOME" });
    expect(await read.settled(read.call(1_000, false))).toMatchObject({ code: "DEADLINE" });
    expect(write.clock.now()).toBeLessThanOrEqual(5_000);
  });

  test("leaves a write that never left this process without doubt", async () => {
    const { call, settled } = rig(["unsent"]);

    expect(await settled(call())).toMatchObject({ code: "DEADLINE" });
  });
});

describe("calls at once", () => {
  test("above the limit are refused with OVERLOADED, and there is room again after answers", async () => {
    const { call, settled } = rig(["done"], { inFlightMax: 2 });
    const first = [call(), call()];

    expect(await settled(call(), 0)).toMatchObject({ code: "OVERLOADED" });
    expect(await settled(first[0]!)).toBe("done");
    expect(await settled(call())).toBe("done");
  });
});

describe("the box that serves", () => {
  const boxes = ["a", "b"].map((name) => ({ name, clientEndpoint: `${name}:1` }));

  test("is gone to directly once an answer or a refusal has named it", async () => {
    const { pool, sent, call, settled } = rig(["done", { code: "NO_LEADER", leaderBox: "b" }, "done"]);
    await settled(call());
    pool.learnMap({ epoch: 1, rules: [] } as never, boxes as never);
    await settled(call());
    await settled(call());

    expect(sent[0]?.endpoint).toBe("a:1");
    expect(sent.at(-1)?.endpoint).toBe("b:1");
  });
});
