import type { Request, RequestFrame, Response, ResponseFrame } from "@nexus-federation/proto/request.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import type { BoxApi, Caller } from "../box/api.ts";
import { waitsForLock } from "../box/operations.ts";
import { ownOptions, refusedResponse } from "./callers.ts";
import type { LockWaiters } from "./lock-waiters.ts";

/** Requests of one stream that may wait for answers at once; the next one is refused with OVERLOADED. */
export const sessionInFlightMax = 8192;
const overloadedRetryMs = 50;
/**
 * Requests of one stream taken in one round of the event loop. A flood is then read no faster than what it asks for is
 * done: otherwise reading it leaves no time for heartbeats, and each answer comes too late.
 */
const roundMax = 256;
/**
 * Bytes of answers that one stream's client has not taken; beyond them content is refused with OVERLOADED, since reading
 * changes nothing and may be asked again. What was changed is always told.
 */
export const untakenBytesMax = 64 * 1024 * 1024;
/** Weight of one answer frame to aim at. */
const frameBytesMax = 512 * 1024;

/** The stream as the door uses it: a call of grpc-js, or a SessionSocket. */
export interface RequestStream {
  on(event: "data", listener: (frame: RequestFrame) => void): unknown;
  on(event: "drain" | "cancelled" | "end" | "error", listener: () => void): unknown;
  /** False when nothing more should be written before "drain". */
  write(frame: ResponseFrame): boolean;
  pause(): unknown;
  resume(): unknown;
  end(): unknown;
}

interface SessionDoorNeeds {
  box: BoxApi;
  caller: Caller;
  stream: RequestStream;
  /** Ends the stream and says why. */
  refuse: (refusal: Refusal) => void;
  defer: (fn: () => void) => void;
  lockWaiters: LockWaiters;
}

/** Serves one multiplexed stream: answers of one turn leave as one frame, and a client that does not read is not read. */
export class SessionDoor {
  readonly #box: BoxApi;
  readonly #caller: Caller;
  readonly #stream: RequestStream;
  readonly #breakOff: (refusal: Refusal) => void;
  readonly #lockWaiters: LockWaiters;
  /** To be called for each lock that is waited for when the stream ends. */
  readonly #waits = new Set<() => void>();
  readonly #defer: (fn: () => void) => void;
  #answers: Response[] = [];
  /** Weight of the answers since the client last had room. */
  #untakenBytes = 0;
  #inFlight = 0;
  #scheduled = false;
  #noMore = false;
  /** Requests taken in this round. */
  #taken = 0;
  /** Reasons not to read now. */
  readonly #holds = new Set<"room" | "renewal" | "round">();
  #gone = false;

  constructor(needs: SessionDoorNeeds) {
    this.#box = needs.box;
    this.#caller = needs.caller;
    this.#stream = needs.stream;
    this.#breakOff = needs.refuse;
    this.#defer = needs.defer;
    this.#lockWaiters = needs.lockWaiters;
  }

  start(): void {
    const stream = this.#stream;
    stream.on("data", (frame: RequestFrame) => this.#receive(frame));
    stream.on("drain", () => {
      this.#untakenBytes = 0;
      this.#release("room");
    });
    stream.on("error", () => this.#end());
    stream.on("cancelled", () => this.#end());
    stream.on("end", () => {
      this.#noMore = true;
      this.#endWhenAnswered();
    });
  }

  /** A client that has said all it wants still gets its answers. */
  #endWhenAnswered(): void {
    if (!this.#noMore || this.#gone || this.#inFlight > 0 || this.#answers.length > 0) return;
    this.#end();
    this.#stream.end();
  }

  #end(): void {
    this.#gone = true;
    this.#answers = [];
    for (const gone of this.#waits) gone();
    this.#waits.clear();
  }

  /** A caller that has to be asked about again is not read until the answer is there. */
  #receive(frame: RequestFrame): void {
    const renewal = this.#caller.renewal?.();
    if (renewal === undefined) return this.#handle(frame);
    this.#hold("renewal");
    this.#inFlight++;
    void Promise.resolve(renewal).then((refusal) => {
      this.#inFlight--;
      if (this.#gone) return;
      if (refusal === undefined) this.#handle(frame);
      else this.#refuse(frame, refusal);
      this.#release("renewal");
      this.#endWhenAnswered();
    });
  }

  #hold(why: "room" | "renewal" | "round"): void {
    this.#holds.add(why);
    this.#stream.pause();
  }
  #release(why: "room" | "renewal" | "round"): void {
    this.#holds.delete(why);
    if (this.#holds.size === 0) this.#stream.resume();
  }

  #count(requests: number): void {
    if (this.#taken === 0) setImmediate(() => this.#nextRound());
    this.#taken += requests;
    if (this.#taken >= roundMax) this.#hold("round");
  }
  #nextRound(): void {
    this.#taken = 0;
    if (this.#holds.has("round")) this.#release("round");
  }

  /** Who may not come in any more begins anew, with newer credentials if it has them. */
  #refuse(frame: RequestFrame, refusal: Refusal): void {
    if (refusal.code === "UNAUTHENTICATED") return this.#breakOff(refusal);
    for (const { id } of frame.requests) this.#answer(refusedResponse(id, refusal));
  }

  #handle(frame: RequestFrame): void {
    this.#count(frame.requests.length);
    for (const request of frame.requests) {
      const { id } = request;
      if (this.#inFlight >= sessionInFlightMax) {
        const refusal = refuse(
          "OVERLOADED",
          `more than ${sessionInFlightMax} requests of this stream wait for answers`,
          {
            retryAfterMs: overloadedRetryMs,
          },
        );
        this.#answer(refusedResponse(id, refusal));
        continue;
      }
      this.#inFlight++;
      request.options = ownOptions(request.options, this.#caller);
      if (waitsForLock(request)) {
        this.#wait(request);
        continue;
      }
      this.#box.handle(request, this.#caller, (response) => {
        this.#inFlight--;
        response.id = id;
        this.#answer(response);
      });
    }
  }

  #wait(request: Request): void {
    let gone: (() => void) | undefined;
    let answered = false;
    gone = this.#lockWaiters.handle(this.#box, { request, caller: this.#caller }, (response) => {
      answered = true;
      if (gone !== undefined) this.#waits.delete(gone);
      this.#inFlight--;
      response.id = request.id;
      this.#answer(response);
    });
    if (!answered) this.#waits.add(gone);
  }

  #answer(response: Response): void {
    if (this.#gone) return;
    const bytes = weightOf(response);
    if (this.#untakenBytes + bytes > untakenBytesMax && isContent(response)) {
      const text = `the client of this stream has not taken ${this.#untakenBytes} bytes of answers`;
      this.#answers.push(refusedResponse(response.id, refuse("OVERLOADED", text, { retryAfterMs: overloadedRetryMs })));
    } else {
      this.#untakenBytes += bytes;
      this.#answers.push(response);
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#defer(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#gone || this.#answers.length === 0) return;
    const answers = this.#answers;
    this.#answers = [];
    let from = 0;
    let bytes = 0;
    let room = true;
    for (let i = 0; i < answers.length; i++) {
      bytes += weightOf(answers[i]!);
      if (bytes < frameBytesMax) continue;
      room = this.#stream.write({ responses: answers.slice(from, i + 1) });
      from = i + 1;
      bytes = 0;
    }
    if (from < answers.length) room = this.#stream.write({ responses: from === 0 ? answers : answers.slice(from) });
    if (room) this.#untakenBytes = 0;
    else this.#hold("room");
    this.#endWhenAnswered();
  }
}

function isContent({ result }: Response): boolean {
  return result?.$case === "read" || result?.$case === "listing" || result?.$case === "feed";
}

function weightOf(response: Response): number {
  const result = response.result;
  if (result?.$case === "read") return 256 + result.value.content.length;
  if (result?.$case === "listing") return 256 * result.value.entries.length;
  if (result?.$case === "feed") return 256 * result.value.events.length;
  return 256;
}
