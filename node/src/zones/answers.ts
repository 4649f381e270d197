import type { Failure, Receipt } from "@nexus-federation/proto/records.ts";
import type { Response } from "@nexus-federation/proto/request.ts";
import type { ErrorCode, Refusal } from "../base/errors.ts";

export type Result = NonNullable<Response["result"]>;

/** `id` and `servedBy` are filled in by the box. */
export function answer(result: Result, receipt?: Receipt): Response {
  return { id: 0, receipt, servedBy: "", result };
}

export function refusal(refused: Refusal, receipt?: Receipt): Response {
  return answer({ $case: "failure", value: failureOf(refused) }, receipt);
}

export function failureOf(refused: Refusal): Failure {
  return {
    code: refused.code,
    message: refused.message,
    applied: refused.applied ?? false,
    retryAfterMs: refused.retryAfterMs ?? 0,
    epoch: refused.epoch ?? 0,
    leaderBox: refused.leaderBox ?? "",
    details: refused.details ?? {},
  };
}

/** The refusal that a failure carries over the wire. */
export function refusalOf(failure: Failure): Refusal {
  return {
    code: failure.code as ErrorCode,
    message: failure.message,
    applied: failure.applied,
    retryAfterMs: failure.retryAfterMs,
    epoch: failure.epoch,
    leaderBox: failure.leaderBox,
    details: failure.details,
  };
}

export function failureIn(response: Response): Failure | undefined {
  return response.result?.$case === "failure" ? response.result.value : undefined;
}
