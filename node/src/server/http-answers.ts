// How answers and refusals look over HTTP: receipt and revision headers, problem+json.

import type { Receipt } from "@nexus-federation/proto/records.ts";
import type { Response } from "@nexus-federation/proto/request.ts";
import type { FastifyReply } from "fastify";
import { serializeDictionary, Token } from "structured-headers";
import { hexOf } from "../base/bytes.ts";
import { errorKinds, type Refusal } from "../base/errors.ts";
import { refusalOfFailure } from "../base/failure.ts";
import { printFence } from "../base/fence.ts";
import { jsonReceipt, revisionText } from "../base/json.ts";

export const problemType = "application/problem+json";

/** The receipt as a structured field (RFC 9651 dictionary). */
function receiptHeader(receipt: Receipt): string {
  const fields = new Map<string, unknown>([
    ["zone", receipt.zone],
    ["mode", new Token(receipt.mode || "none")],
    ["epoch", receipt.epoch],
    ["revision", revisionText(receipt.generation, receipt.index)],
    ["staleness-ms", receipt.stalenessMs],
    ["copies", receipt.copies],
    ["regions", receipt.regions.join(" ")],
    ["degraded", receipt.degraded],
    ["log-time-ms", receipt.logTimeMs],
    ["token", Buffer.from(receipt.token).toString("base64url")],
  ]);
  if (receipt.fence) fields.set("fence", receipt.fence);
  return serializeDictionary(fields as Parameters<typeof serializeDictionary>[0]);
}

export function setReceipt(reply: FastifyReply, response: Response): void {
  if (response.receipt?.zone) reply.header("nexus-receipt", receiptHeader(response.receipt));
  if (response.servedBy) reply.header("nexus-served-by", response.servedBy);
}

/** Answers with the refusal; returns the reply so that handlers can return it. `status` where HTTP has one of its own. */
export function sendProblem(reply: FastifyReply, refusal: Refusal, status?: number): FastifyReply {
  const shownStatus = status ?? errorKinds[refusal.code].http;
  if (refusal.retryAfterMs) reply.header("retry-after", Math.ceil(refusal.retryAfterMs / 1000));
  if (refusal.code === "UNAUTHENTICATED") reply.header("www-authenticate", 'Bearer realm="nexus"');
  return reply.status(shownStatus).type(problemType).send(problemOf(refusal, shownStatus));
}

/** The refusal as a problem+json object. */
export function problemOf(refusal: Refusal, status: number) {
  const kind = errorKinds[refusal.code];
  return {
    type: `urn:nexus:error:${refusal.code}`,
    title: kind.meaning,
    status,
    code: refusal.code,
    detail: refusal.message,
    advice: kind.advice,
    ...(refusal.applied ? { applied: true } : {}),
    ...(refusal.retryAfterMs ? { retryAfterMs: refusal.retryAfterMs } : {}),
    ...(refusal.epoch ? { epoch: refusal.epoch } : {}),
    ...(refusal.leaderBox ? { leaderBox: refusal.leaderBox } : {}),
    ...(refusal.details && Object.keys(refusal.details).length > 0 ? { details: refusal.details } : {}),
  };
}

/** The refusal that a response carries, or undefined when it carries a result. */
export function refusalOf(response: Response): Refusal | undefined {
  if (response.result === undefined) return { code: "INTERNAL", message: "the box answered nothing" };
  if (response.result.$case !== "failure") return undefined;
  return refusalOfFailure(response.result.value);
}

export function jsonGrant(response: Response) {
  if (response.result?.$case !== "grant") return undefined;
  const grant = response.result.value;
  return {
    lockId: hexOf(grant.lockId),
    fence: printFence(grant.generation, grant.counter),
    generation: grant.generation,
    ttlMs: grant.ttlMs,
    path: grant.path,
    receipt: jsonReceipt(response.receipt),
  };
}
