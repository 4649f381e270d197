import type { Failure } from "@nexus-federation/proto/records.ts";
import { type ErrorCode, errorKinds, type Refusal, refuse } from "./errors.ts";

/** A refusal as it travels: in answers, in the log's remembered replies, at the end of a stream. */
export function failureOf(refusal: Refusal): Failure {
  return {
    code: refusal.code,
    message: refusal.message,
    applied: refusal.applied ?? false,
    retryAfterMs: refusal.retryAfterMs ?? 0,
    epoch: refusal.epoch ?? 0,
    leaderBox: refusal.leaderBox ?? "",
    details: refusal.details ?? {},
  };
}

/** The inverse. An unknown code (a newer sender's) becomes INTERNAL with the code in its sentence. */
export function refusalOfFailure(failure: Failure): Refusal {
  const { code, message, applied, retryAfterMs, epoch, leaderBox, details } = failure;
  if (!isErrorCode(code)) return refuse("INTERNAL", `${code}: ${message}`, { applied, details });
  return { code, message, applied, retryAfterMs, epoch, leaderBox, details };
}

/** Whether this version knows the code. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorKinds, code);
}
