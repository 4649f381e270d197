import type { Request, RequestOptions, Response } from "@nexus-federation/proto/request.ts";
import type { Refusal } from "../base/errors.ts";
import { refusalOfFailure } from "../base/failure.ts";
import { failureIn } from "../zones/answers.ts";
import type { Caller } from "./api.ts";

/** Options of a request that asks for nothing special. */
export const noOptions: RequestOptions = Object.freeze({
  timeoutMs: 0,
  maxStalenessMs: undefined,
  minCopies: 0,
  after: Buffer.alloc(0),
  readPreference: "",
  writeConcern: "",
  requestId: Buffer.alloc(0),
  requestTimeMs: 0,
  epoch: 0,
  hops: [],
  principal: "",
});

/** The box itself: its own work on other zones needs no rights. */
export const ownCaller: Caller = { principal: "system", kind: "box", check: () => undefined };

export type Handle = (request: Request, caller: Caller, done: (response: Response) => void) => void;

/** Off the hot path: one request, awaited. */
export type Ask = (op: NonNullable<Request["op"]>, more?: Partial<AskOptions>) => Promise<Response>;
export interface AskOptions {
  zone: string;
  options: Partial<RequestOptions>;
  caller: Caller;
}

export function askWith(handle: Handle): Ask {
  return (op, more = {}) =>
    new Promise((resolve) => {
      const options = { ...noOptions, ...more.options };
      handle({ id: 0, options, zone: more.zone ?? "", op }, more.caller ?? ownCaller, resolve);
    });
}

/** The refusal in a response, if it is one. */
export function refusalIn(response: Response): Refusal | undefined {
  const failure = failureIn(response);
  return failure && refusalOfFailure(failure);
}
