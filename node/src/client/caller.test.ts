import type { Request, RequestOptions, Response } from "@nexus-federation/proto/request.ts";
import { expect, test } from "vitest";
import { type ErrorCode, NexusError } from "../base/errors.ts";
import { seededRandom } from "../base/seeded-random.ts";
import { systemClock as clock } from "../transport/system-clock.ts";
import { Caller } from "./caller.ts";
import { SessionPool } from "./pool.ts";
import type { Done, Session } from "./session.ts";

/** Answers in turn: a refusal's code, "lost" for a stream that broke, "abandon" when the caller gives up meanwhile. */
type Answer = ErrorCode | "lost" | "abandon";

function callWith(answers: Answer[]): Promise<Response> {
  const caller = new AbortController();
  const session = {
    call(_request: Request, done: Done) {
      const answer = answers.shift()!;
      if (answer === "lost") done(undefined, new NexusError("ZONE_UNAVAILABLE", "the stream broke"), true);
      else if (answer === "abandon") queueMicrotask(() => caller.abort());
      else done(refusal(answer), undefined, true);
      return 1;
    },
    forget() {},
  } as unknown as Session;
  const pool = new SessionPool({ endpoints: ["a:1"], connect: async () => session, clock });
  const calls = new Caller({ pool, clock, random: seededRandom(1), inFlightMax: 1 });
  const options = { timeoutMs: 100, requestTimeMs: 0 } as RequestOptions;
  return calls.call({ op: undefined, options, zone: "", path: "/a", mutating: true, signal: caller.signal });
}

/** As from a state machine for the codes that are its own: with a receipt. */
function refusal(code: string): Response {
  const failure = { code, message: "", applied: false, retryAfterMs: 0, epoch: 0, leaderBox: "", details: {} };
  const receipt = code === "PRECONDITION_FAILED" ? { zone: "z", logTimeMs: 0 } : undefined;
  return { receipt, result: { $case: "failure", value: failure } } as unknown as Response;
}

test.each(["DISK_FULL", "DEADLINE", "COPIES_UNAVAILABLE", "EXPIRED", "DENIED", "NO_ZONE", "INVALID"] as const)(
  "%s is the answer to a first attempt, and after an attempt whose answer was lost the outcome is unknown",
  async (code) => {
    await expect(callWith([code])).rejects.toMatchObject({ code });
    await expect(callWith(["lost", code])).rejects.toMatchObject({ code: "UNKNOWN_OUTCOME" });
    await expect(callWith(["UNKNOWN_OUTCOME", code])).rejects.toMatchObject({ code: "UNKNOWN_OUTCOME" });
  },
);

test("what the log itself answers to a retry is certain", async () => {
  await expect(callWith(["lost", "PRECONDITION_FAILED"])).rejects.toMatchObject({ code: "PRECONDITION_FAILED" });
});

test("a write that its caller gave up after it was sent may be applied", async () => {
  await expect(callWith(["abandon"])).rejects.toMatchObject({
    code: "UNKNOWN_OUTCOME",
    message: expect.stringContaining("gave up"),
  });
});

test("what was refused again and again until the time was over is told by its own code", async () => {
  await expect(callWith(Array<Answer>(500).fill("NO_LEADER"))).rejects.toMatchObject({ code: "NO_LEADER" });
  await expect(callWith(["lost", ...Array<Answer>(500).fill("NO_LEADER")])).rejects.toMatchObject({
    code: "UNKNOWN_OUTCOME",
  });
});
