// Refusals as the status of a gRPC call.

import { status } from "@grpc/grpc-js";
import { errorKinds, messageOf, type Refusal, refuse } from "../base/errors.ts";
import { isErrorCode } from "../base/failure.ts";

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
  if (code !== undefined && message !== undefined && isErrorCode(code)) return refuse(code, message);
  return refuse("ZONE_UNAVAILABLE", `the peer cannot be reached: ${text}`);
}
