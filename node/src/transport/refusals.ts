// Refusals on the wire: as the status of a gRPC call and as the proto message Failure.

import { status } from "@grpc/grpc-js";
import type { Failure } from "../../../proto/gen/nexus/v1/records.ts";
import { type ErrorCode, errorKinds, messageOf, type Refusal, refuse } from "../base/errors.ts";

/** A refusal as the error that ends a gRPC call: status by the table of codes, the code in front of the sentence. */
export function statusOf(refusal: Refusal): Error & { code: number; details: string } {
  const code = status[errorKinds[refusal.code].grpc as keyof typeof status];
  const details = `${refusal.code}: ${refusal.message}`;
  return Object.assign(new Error(details), { code, details });
}

/** The refusal that `statusOf` packed; ZONE_UNAVAILABLE for an error of the connection. */
export function refusalOf(error: unknown): Refusal {
  const details = (error as { details?: unknown }).details;
  const text = typeof details === "string" ? details : messageOf(error);
  const [, code, message] = /^([A-Z_]+): (.*)$/s.exec(text) ?? [];
  if (code !== undefined && message !== undefined && isCode(code)) return refuse(code, message);
  return refuse("ZONE_UNAVAILABLE", `the peer cannot be reached: ${text}`);
}

export function failureOf(refusal: Refusal | undefined): Failure | undefined {
  if (refusal === undefined) return undefined;
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

/** An unknown code (a newer sender's) becomes INTERNAL with the code in its sentence. */
export function refusalOfFailure(failure: Failure | undefined): Refusal | undefined {
  if (failure === undefined) return undefined;
  const { code, message, applied, retryAfterMs, epoch, leaderBox, details } = failure;
  if (!isCode(code)) return refuse("INTERNAL", `${code}: ${message}`, { applied, details });
  return { code, message, applied, retryAfterMs, epoch, leaderBox, details };
}

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorKinds, code);
}
