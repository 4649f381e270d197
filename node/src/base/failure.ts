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

/** The log's own word, but on this attempt alone. */
const ofThisAttempt: readonly string[] = ["EXPIRED", "GENERATION_CHANGED"];

/**
 * Whether a refusal leaves open what became of an earlier attempt of the same request: one that comes without a receipt
 * was made before the state machine looked, one that may pass tells of now. LOCKED ends a wait that the state machine knew.
 */
export function saysNothingOfBefore({ code, applied }: Failure, hasReceipt: boolean): boolean {
  if (applied || code === "LOCKED") return false;
  return !hasReceipt || ofThisAttempt.includes(code) || (isErrorCode(code) && errorKinds[code].retryable);
}

/** Whether this version knows the code. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorKinds, code);
}
