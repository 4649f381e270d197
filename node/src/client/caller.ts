// One call with its retries. A retry carries the same request id, so it is applied once; it happens only inside the
// caller's deadline and only for refusals that may pass (errorKinds.retryable) and for broken streams.
import type { Failure } from "@nexus-federation/proto/records.ts";
import type { Request, RequestOptions, Response } from "@nexus-federation/proto/request.ts";
import { Backoff } from "../base/backoff.ts";
import type { Clock, Random } from "../base/clock.ts";
import { type ErrorCode, errorKinds, messageOf, NexusError } from "../base/errors.ts";
import { refusalOfFailure, saysNothingOfBefore } from "../base/failure.ts";
import { pinText } from "../base/token.ts";
import { givenPin } from "./checks.ts";
import type { Pin, SessionPool } from "./pool.ts";
import type { Session } from "./session.ts";

export interface Call {
  op: Request["op"];
  options: RequestOptions;
  zone: string;
  /** Path to route by. */
  path: string | undefined;
  mutating: boolean;
  signal: AbortSignal | undefined;
}

export interface CallerNeeds {
  pool: SessionPool;
  clock: Clock;
  random: Random;
  inFlightMax: number;
}

/** LOCKED and COPIES_UNAVAILABLE are answers to the caller, not hiccups; a demanded freshness is waited for by the box. */
const notRetried = new Set<ErrorCode>(["LOCKED", "COPIES_UNAVAILABLE", "STALENESS_EXCEEDED", "DISK_FULL", "DEADLINE"]);
/** Where there is no room, attempts must become fewer, and come at different times. */
const overloadPauses = { firstMs: 50, maxMs: 2_000, factor: 2 };
/** Time beyond the box's own deadline that an answer is waited for. */
const answerGraceMs = 250;

export class Caller {
  readonly #needs: CallerNeeds;
  #inFlight = 0;

  constructor(needs: CallerNeeds) {
    this.#needs = needs;
  }

  /**
   * Resolves with the answer that carries a result; throws NexusError for every refusal. When the time is over before
   * anything may have been applied, the code is that of the last refusal, DEADLINE when there was none.
   */
  call(call: Call): Promise<Response> {
    if (this.#inFlight >= this.#needs.inFlightMax) {
      return Promise.reject(
        new NexusError("OVERLOADED", `more than ${this.#needs.inFlightMax} calls wait for answers`),
      );
    }
    this.#inFlight++;
    return new Promise((resolve, reject) => {
      const attempt = new Attempt(this.#needs, call, (response, error) => {
        this.#inFlight--;
        if (response) resolve(response);
        else reject(error);
      });
      attempt.start();
    });
  }
}

class Attempt {
  readonly #needs: CallerNeeds;
  readonly #call: Call;
  readonly #end: (response: Response | undefined, error: NexusError | undefined) => void;
  readonly #deadlineMs: number;
  #backoff: Backoff | undefined;
  /** Between attempts that found no room. */
  #patience: Backoff | undefined;
  #timer: { cancel(): void } | undefined;
  #onAbort: (() => void) | undefined;
  #session: Session | undefined;
  #id = 0;
  #maybeApplied = false;
  /** A copy left since the last pin, or may have. */
  #wasSent = false;
  #pin: Pin | undefined;
  #lastProblem = "";
  /** Of the last answer, when it was a refusal. */
  #lastCode: ErrorCode | undefined;
  #over = false;

  constructor(
    needs: CallerNeeds,
    call: Call,
    end: (response: Response | undefined, error: NexusError | undefined) => void,
  ) {
    this.#needs = needs;
    this.#call = call;
    this.#end = end;
    this.#deadlineMs = needs.clock.now() + call.options.timeoutMs;
  }

  start(): void {
    const { clock } = this.#needs;
    this.#timer = clock.after(this.#call.options.timeoutMs + answerGraceMs, () => this.#giveUp());
    const { signal } = this.#call;
    if (signal) {
      this.#onAbort = () => this.#giveUp(`the caller gave up (${messageOf(signal.reason)})`);
      if (signal.aborted) return this.#onAbort();
      signal.addEventListener("abort", this.#onAbort, { once: true });
    }
    this.#send();
  }

  #send(): void {
    if (this.#over) return;
    const { pool } = this.#needs;
    const session = pool.sessionFor(this.#call.path, this.#call.zone);
    if (session) return this.#sendOn(session);
    pool.seed().then(
      (opened) => this.#sendOn(opened),
      (error: NexusError) => {
        if (!errorKinds[error.code].retryable) return this.#finish(undefined, error);
        this.#again(error.message);
      },
    );
  }

  #sendOn(session: Session): void {
    if (this.#over) return;
    const leftMs = this.#deadlineMs - this.#needs.clock.now();
    if (leftMs <= 0) return this.#giveUp();
    const call = this.#call;
    if (call.mutating && call.options.requestTimeMs === 0) {
      call.options.requestTimeMs = this.#needs.pool.requestTime(call.path, call.zone);
    }
    // Before the first copy leaves: whatever becomes of it, a later one must reach the log that remembers it, or none.
    if (call.mutating && !this.#wasSent)
      this.#pin = givenPin(call.options) ?? this.#needs.pool.pinOf(call.path, call.zone);
    this.#wasSent ||= call.mutating;
    const options = { ...call.options, ...this.#pin, timeoutMs: Math.max(1, Math.floor(leftMs)) };
    this.#session = session;
    this.#id = session.call({ id: 0, options, zone: call.zone, op: call.op }, (response, broken, sent) => {
      this.#session = undefined;
      if (response) this.#answered(response);
      else {
        if (broken && !errorKinds[broken.code].retryable) return this.#finish(undefined, broken);
        if (sent && call.mutating) this.#maybeApplied = true;
        else this.#wasSent = this.#maybeApplied;
        this.#lastCode = undefined;
        this.#again(broken?.message ?? "the stream broke");
      }
    });
  }

  #answered(response: Response): void {
    const { pool } = this.#needs;
    const call = this.#call;
    pool.learnAnswer(response);
    if (response.result?.$case !== "failure") return this.#finish(response, undefined);
    const failure = response.result.value;
    const code = failure.code as ErrorCode;
    const kind = errorKinds[code];
    if (failure.leaderBox || code === "NO_LEADER" || code === "AUTHORITY_UNREACHABLE") {
      pool.learnLeader(this.#call.path, this.#call.zone, failure.leaderBox);
    }
    if (code === "UNKNOWN_OUTCOME") this.#maybeApplied = true;
    if (this.#pinIsOld(failure, response)) return this.#again(`${code}: ${failure.message}`);
    if (!kind?.retryable || failure.applied || notRetried.has(code)) {
      if (this.#maybeApplied && call.mutating && saysNothingOfBefore(failure, response.receipt !== undefined)) {
        this.#lastProblem = `${code}: ${failure.message}`;
        return this.#giveUp();
      }
      return this.#finish(undefined, errorOf(response));
    }
    this.#lastCode = code;
    this.#again(`${code}: ${failure.message}`, failure.retryAfterMs);
  }

  /** The map here was behind, and no copy can have been executed: the box names the log to go to instead. */
  #pinIsOld({ code, details }: Failure, { receipt }: Response): boolean {
    if (code !== "GENERATION_CHANGED" || receipt !== undefined) return false;
    const [log, generation] = [Number(details["log"]), Number(details["generation"])];
    if (
      this.#pin === undefined ||
      this.#maybeApplied ||
      givenPin(this.#call.options) !== undefined ||
      !(log > 0 && generation > 0)
    )
      return false;
    this.#pin = { pinLog: log, pinGeneration: generation };
    return true;
  }

  #again(problem: string, waitMs = 0): void {
    if (this.#over) return;
    this.#lastProblem = problem;
    this.#backoff ??= new Backoff(this.#needs.random, { firstMs: 4, maxMs: 100, factor: 1.6 });
    let delayMs = Math.max(waitMs, this.#backoff.nextMs());
    if (this.#lastCode === "OVERLOADED") {
      this.#patience ??= new Backoff(this.#needs.random, overloadPauses);
      delayMs = waitMs + this.#patience.nextMs();
    }
    if (this.#needs.clock.now() + delayMs >= this.#deadlineMs) return this.#giveUp();
    this.#needs.clock.after(delayMs, () => this.#send());
  }

  #giveUp(what = `no answer within ${this.#call.options.timeoutMs} ms`): void {
    const why = this.#lastProblem ? `; the last problem was: ${this.#lastProblem}` : "";
    const inDoubt = this.#call.mutating && (this.#maybeApplied || this.#session !== undefined);
    const error = inDoubt
      ? new NexusError("UNKNOWN_OUTCOME", `${what}; it may be applied; retry with the same request id${why}`, {
          refusal: { details: this.#pinDetails() },
        })
      : new NexusError(this.#lastCode ?? "DEADLINE", `${what}, nothing was changed${why}`);
    this.#finish(undefined, error);
  }

  /** For a retry in a call of its own. */
  #pinDetails(): Record<string, string> {
    if (this.#pin === undefined) return {};
    const { pinLog: log, pinGeneration: generation } = this.#pin;
    return { pin: pinText({ log, generation }) };
  }

  #finish(response: Response | undefined, error: NexusError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#session?.forget(this.#id);
    if (this.#onAbort) this.#call.signal?.removeEventListener("abort", this.#onAbort);
    this.#end(response, error);
  }
}

/** The NexusError that a failure answer stands for. */
export function errorOf(response: Response): NexusError {
  if (response.result?.$case === "failure") return failureError(response.result.value);
  return new NexusError("INTERNAL", "the box gave an answer of another kind than was asked");
}

export function failureError(failure: Failure): NexusError {
  const refusal = refusalOfFailure(failure);
  return new NexusError(refusal.code, refusal.message, { refusal });
}
