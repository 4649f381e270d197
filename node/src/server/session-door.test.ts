import { EventEmitter } from "node:events";
import type { Request, RequestFrame, Response, ResponseFrame } from "@nexus-federation/proto/request.ts";
import { describe, expect, test } from "vitest";
import { type Refusal, refuse } from "../base/errors.ts";
import type { BoxApi, Caller } from "../box/api.ts";
import { noOptions } from "../box/ask.ts";
import { VirtualClock } from "../group/testing/virtual-clock.ts";
import { grpcError, refusedResponse } from "./callers.ts";
import { LockWaiters, vanishedGraceMs } from "./lock-waiters.ts";
import { SessionDoor, sessionInFlightMax, untakenBytesMax } from "./session-door.ts";

const caller: Caller = { principal: "token:t", kind: "client", check: () => undefined };

/** The stream's side of the door: what grpc-js gives, with a client that reads only when told. */
class Stream extends EventEmitter {
  readonly frames: ResponseFrame[] = [];
  paused = false;
  ended = false;
  room = true;
  write(frame: ResponseFrame): boolean {
    this.frames.push(frame);
    return this.room;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  end(): void {
    this.ended = true;
  }
  get answers(): Response[] {
    return this.frames.flatMap((frame) => frame.responses);
  }
}

function door(who: Caller = caller) {
  const stream = new Stream();
  const asked: { request: Request; done: (response: Response) => void }[] = [];
  const later: (() => void)[] = [];
  const clock = new VirtualClock();
  const box = {
    handle: (request: Request, _caller: Caller, done: (response: Response) => void) => asked.push({ request, done }),
  } as unknown as BoxApi;
  const lockWaiters = new LockWaiters(box, clock);
  new SessionDoor({
    box,
    caller: who,
    stream,
    refuse: (refusal) => void stream.emit("error", grpcError(refusal)),
    defer: (fn) => void later.push(fn),
    lockWaiters,
  }).start();
  const send = (...ids: number[]) =>
    stream.emit("data", {
      requests: ids.map((id) => ({ id, options: undefined, zone: "", op: undefined })),
    } satisfies RequestFrame);
  const turn = () => {
    for (const fn of later.splice(0)) fn();
  };
  const answer = (index: number, bytes = 0) => {
    const content = Buffer.alloc(bytes);
    asked[index]?.done({
      id: 0,
      receipt: undefined,
      servedBy: "a",
      result: { $case: "read", value: { info: undefined, content } },
    });
  };
  return { stream, asked, send, turn, answer, clock, box, lockWaiters };
}

describe("a session", () => {
  test("is read no further in a round of the event loop once it brought enough, and again in the next", async () => {
    const { stream, send, asked } = door();
    send(...Array.from({ length: 200 }, (_, i) => i + 1));
    expect(stream.paused).toBe(false);
    send(...Array.from({ length: 200 }, (_, i) => i + 201));
    expect(asked.length).toBe(400);
    expect(stream.paused).toBe(true);

    await new Promise((resolve) => setImmediate(resolve));
    expect(stream.paused).toBe(false);
  });

  test("that does not take its answers is not read again only because a round is over", async () => {
    const { stream, send, turn, answer } = door();
    stream.room = false;
    send(...Array.from({ length: 300 }, (_, i) => i + 1));
    answer(0);
    turn();
    await new Promise((resolve) => setImmediate(resolve));
    expect(stream.paused).toBe(true);

    stream.emit("drain");
    expect(stream.paused).toBe(false);
  });

  test("sends the answers of one turn as one frame, under the ids of their requests", () => {
    const { stream, send, turn, answer } = door();
    send(11, 12, 13);

    answer(2);
    answer(0);
    turn();

    expect(stream.frames).toHaveLength(1);
    expect(stream.answers.map((one) => one.id)).toEqual([13, 11]);
  });

  test("cuts heavy answers into frames of a bounded size", () => {
    const { stream, send, turn, answer } = door();
    send(...Array.from({ length: 40 }, (_, i) => i));

    for (let i = 0; i < 40; i++) answer(i, 32 * 1024);
    turn();

    expect(stream.answers).toHaveLength(40);
    expect(stream.frames.length).toBeGreaterThan(1);
    for (const { responses } of stream.frames) expect(responses.length).toBeLessThanOrEqual(17);
  });

  test("refuses requests above its limit with OVERLOADED and a time to wait", () => {
    const { stream, asked, send, turn } = door();
    send(...Array.from({ length: sessionInFlightMax + 2 }, (_, i) => i));
    turn();

    expect(asked).toHaveLength(sessionInFlightMax);
    expect(stream.answers.map((one) => one.id)).toEqual([sessionInFlightMax, sessionInFlightMax + 1]);
    expect(stream.answers[0]?.result).toMatchObject({
      value: { code: "OVERLOADED", retryAfterMs: expect.any(Number) },
    });
  });

  test("reads no more from a client that does not read, until it reads again", () => {
    const { stream, send, turn, answer } = door();
    stream.room = false;
    send(1);
    answer(0);
    turn();

    expect(stream.paused).toBe(true);
    stream.emit("drain");
    expect(stream.paused).toBe(false);
  });

  test("of a client that does not read keeps no more content for it than its limit, and again once it reads", () => {
    const { stream, send, turn, answer } = door();
    const bytes = 1024 * 1024;
    const fit = Math.floor(untakenBytesMax / (bytes + 256));
    stream.room = false;
    send(...Array.from({ length: fit + 3 }, (_, i) => i));
    for (let i = 0; i < fit + 1; i++) answer(i, bytes);
    turn();
    answer(fit + 1, bytes);
    turn();
    const kept = stream.answers.filter(({ result }) => result?.$case === "read");
    expect(kept).toHaveLength(fit);
    expect(stream.answers.at(-1)).toMatchObject({ id: fit + 1, result: { value: { code: "OVERLOADED" } } });

    stream.emit("drain");
    answer(fit + 2, bytes);
    turn();
    expect(stream.answers.at(-1)?.result?.$case).toBe("read");
  });

  test("writes nothing after it was cancelled", () => {
    const { stream, send, turn, answer } = door();
    send(1, 2);
    stream.emit("cancelled");
    answer(0);
    turn();

    expect(stream.frames).toEqual([]);
  });

  test("ends only when everything that was asked is answered", () => {
    const { stream, send, turn, answer } = door();
    send(1, 2);
    stream.emit("end");
    answer(0);
    turn();
    expect(stream.ended).toBe(false);

    answer(1);
    turn();

    expect(stream.answers.map((one) => one.id)).toEqual([1, 2]);
    expect(stream.ended).toBe(true);
  });

  test("takes who asks from the connection, whatever the request says", () => {
    const { stream, asked } = door();
    const options = { ...refusedResponse(0, { code: "INVALID", message: "" }), principal: "token:admin", hops: ["x"] };
    stream.emit("data", { requests: [{ id: 1, options, zone: "", op: undefined }] });

    expect(asked[0]?.request.options).toMatchObject({ principal: "token:t", hops: [] });
  });
});

describe("a lock that is waited for", () => {
  const value = { path: "/l", kind: "mutex", slots: 1, ttlMs: 9_000, owner: "", wait: true };
  const op = { $case: "mutate" as const, value: { op: { $case: "acquire" as const, value } } };
  const acquire = (id: number, byte: number) => ({
    requests: [{ id, options: { ...noOptions, requestId: Buffer.alloc(16, byte) }, zone: "", op }],
  });
  const cancelled = ({ asked }: ReturnType<typeof door>) =>
    asked.flatMap(({ request }) => {
      const inner = request.op?.$case === "mutate" ? request.op.value.op : undefined;
      return inner?.$case === "cancelWait" ? [inner.value.waiterId[0]] : [];
    });

  test("is given up some time after its stream ended, unless it was answered before", async () => {
    const rig = door();
    rig.stream.emit("data", acquire(1, 1));
    rig.stream.emit("data", acquire(2, 2));
    rig.answer(0);
    rig.stream.emit("cancelled");
    await rig.clock.run(vanishedGraceMs - 1);
    expect(cancelled(rig)).toEqual([]);

    await rig.clock.run(2);
    expect(cancelled(rig)).toEqual([2]);
  });

  test("is not given up when its request came again, or was answered after all", async () => {
    const rig = door();
    rig.stream.emit("data", acquire(1, 1));
    rig.stream.emit("data", acquire(2, 2));
    rig.stream.emit("cancelled");
    const request = acquire(3, 1).requests[0] as Request;
    rig.lockWaiters.handle(rig.box, { request, caller }, () => {});
    rig.answer(1);
    await rig.clock.run(2 * vanishedGraceMs);

    expect(cancelled(rig)).toEqual([]);
  });
});

describe("a caller who must be asked about again", () => {
  const requests = (ids: number[]) => ids.map((id) => ({ id, options: undefined, zone: "", op: undefined }));
  const waiting = () => {
    const { promise, resolve } = Promise.withResolvers<Refusal | undefined>();
    return { ...door({ ...caller, renewal: () => promise }), resolve, settled: () => promise.then(() => {}) };
  };

  test("is not read until the answer is there, and then served", async () => {
    const { stream, asked, resolve, settled } = waiting();
    stream.emit("data", { requests: requests([1, 2]) });
    expect(stream.paused).toBe(true);
    expect(asked).toHaveLength(0);

    resolve(undefined);
    await settled();

    expect(asked.map(({ request }) => request.id)).toEqual([1, 2]);
    expect(stream.paused).toBe(false);
  });

  test("and may not come in any more loses the connection", async () => {
    const { stream, asked, resolve, settled } = waiting();
    const errors: unknown[] = [];
    stream.on("error", (error) => errors.push(error));
    stream.emit("data", { requests: requests([1]) });

    resolve(refuse("UNAUTHENTICATED", "gone"));
    await settled();

    expect(asked).toHaveLength(0);
    expect(errors).toMatchObject([{ code: 16, details: "UNAUTHENTICATED: gone" }]);
  });

  test("and about whom nobody can be asked gets refusals that may pass", async () => {
    const { stream, resolve, settled, turn } = waiting();
    stream.emit("data", { requests: requests([7]) });
    stream.emit("end");

    resolve(refuse("ZONE_UNAVAILABLE", "away"));
    await settled();
    turn();

    expect(stream.answers).toMatchObject([
      { id: 7, result: { $case: "failure", value: { code: "ZONE_UNAVAILABLE" } } },
    ]);
    expect(stream.ended).toBe(true);
  });
});
