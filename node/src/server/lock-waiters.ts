// Lock requests that wait, and whether somebody still waits for their answer. The problem: the queue stands in the log, so
// a client that is killed keeps its place and is granted the lock for a whole TTL. Why not release for it: who lost only
// its connection asks again, perhaps at another box, and may hold that very grant by then. The sketch: some time after a
// connection closed before its answer came, the wait is cancelled; a cancellation never ends a grant, so the worst is a
// place lost. Whoever asks again elsewhere ends the wait here (zones/waits.ts), and then nothing is cancelled.
import { randomFillSync } from "node:crypto";
import type { Request, Response } from "@nexus-federation/proto/request.ts";
import { hexOf } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { BoxApi, Caller } from "../box/api.ts";
import { noOptions, ownCaller } from "../box/ask.ts";
import { requestIdBytes } from "../zones/options.ts";

/** Time for a client that lost its connection to ask again under the same request id, ms. */
export const vanishedGraceMs = 2_000;
/** Vanished waiters of one box under way to be cancelled; those beyond wait on to their own deadline. */
const vanishedMax = 4_096;
/** Time for one cancellation, ms. */
const cancelMs = 10_000;

/** One request of one connection. */
interface Waiter {
  gone: boolean;
  timer: Timer | undefined;
}

/** The lock requests that wait at the doors of one box. */
export class LockWaiters {
  readonly #box: BoxApi;
  readonly #clock: Pick<Clock, "after">;
  /** By request id in hex: the last connection that asked under it. */
  readonly #waiters = new Map<string, Waiter>();
  #vanished = 0;
  #closed = false;

  constructor(box: BoxApi, clock: Pick<Clock, "after">) {
    this.#box = box;
    this.#clock = clock;
  }

  /**
   * `door.handle` for a request that waitsForLock; one without a request id is given one. What is returned is to be
   * called when the connection closed; after the answer it does nothing.
   */
  handle(door: BoxApi, asked: { request: Request; caller: Caller }, done: (response: Response) => void): () => void {
    const options = { ...(asked.request.options ?? noOptions) };
    if (options.requestId.length === 0) options.requestId = randomFillSync(Buffer.alloc(requestIdBytes));
    const request = { ...asked.request, options };
    const key = hexOf(options.requestId);
    const waiter: Waiter = { gone: false, timer: undefined };
    const before = this.#waiters.get(key);
    if (before !== undefined) this.#forget(key, before);
    this.#waiters.set(key, waiter);
    door.handle(request, { ...asked.caller, gone: () => waiter.gone }, (response) => {
      this.#forget(key, waiter);
      done(response);
    });
    return () => this.#vanish(key, waiter, request);
  }

  /** The box stops: its clients go elsewhere and keep their places. */
  close(): void {
    this.#closed = true;
    for (const [key, waiter] of this.#waiters) this.#forget(key, waiter);
  }

  #forget(key: string, waiter: Waiter): void {
    if (this.#waiters.get(key) !== waiter) return;
    this.#waiters.delete(key);
    if (waiter.timer === undefined) return;
    waiter.timer.cancel();
    this.#vanished--;
  }

  #vanish(key: string, waiter: Waiter, request: Request): void {
    waiter.gone = true;
    if (this.#closed || waiter.timer !== undefined || this.#waiters.get(key) !== waiter) return;
    if (this.#vanished >= vanishedMax) return;
    this.#vanished++;
    waiter.timer = this.#clock.after(vanishedGraceMs, () => {
      this.#forget(key, waiter);
      this.#cancel(request);
    });
  }

  #cancel({ op, zone, options }: Request): void {
    if (op?.$case !== "mutate" || op.value.op?.$case !== "acquire" || options === undefined) return;
    const value = { path: op.value.op.value.path, waiterId: options.requestId };
    const cancel: Request = {
      id: 0,
      options: { ...noOptions, principal: ownCaller.principal, timeoutMs: cancelMs },
      zone,
      op: { $case: "mutate", value: { op: { $case: "cancelWait", value } } },
    };
    this.#box.handle(cancel, ownCaller, () => {});
  }
}
