// Doors: they turn gRPC and HTTP calls into the requests of the waist (proto request.proto) and answers back. Why so
// thin: routing, rights on paths, retries and receipts are the box's, so that every door has the same guarantees; a door
// only decodes, authenticates, bounds what one connection may have under way, and shows refusals its own way.

import { type Metadata, status } from "@grpc/grpc-js";
import type { Receipt } from "@nexus-federation/proto/records.ts";
import type { RequestOptions, Response } from "@nexus-federation/proto/request.ts";
import type { Identity } from "../auth/identities.ts";
import { errorKinds, type Refusal } from "../base/errors.ts";
import { failureOf } from "../base/failure.ts";
import type { Caller } from "../box/api.ts";
import { noOptions } from "../box/ask.ts";

/** Decides who calls; the composition gives it the token table and the federation's name. */
export interface Authenticator {
  /**
   * `bearer` without the word Bearer; `certificate` as verified by TLS. UNAUTHENTICATED says what is missing or wrong. A
   * promise, which never rejects, while somebody else is asked.
   */
  authenticate(
    bearer: string | undefined,
    certificate: Identity | undefined,
  ): Caller | Refusal | Promise<Caller | Refusal>;
}

/** The token of an Authorization header; empty when the header carries something else than a bearer token. */
export function bearerOf(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const match = /^Bearer +([^\s]+)$/i.exec(header);
  return match?.[1] ?? "";
}

/** The same for a gRPC call. */
export function bearerOfMetadata(metadata: Metadata): string | undefined {
  const [value] = metadata.get("authorization");
  return bearerOf(typeof value === "string" ? value : undefined);
}

/** A principal and peer-only fields come from the connection, never from what a client wrote into its request. */
export function ownOptions(given: RequestOptions | undefined, caller: Caller): RequestOptions {
  return { ...(given ?? noOptions), hops: [], principal: caller.principal };
}

/** A failure as the whole answer to request `id`. */
export function refusedResponse(id: number, refusal: Refusal, receipt?: Receipt): Response {
  return { id, receipt, servedBy: "", result: { $case: "failure", value: failureOf(refusal) } };
}

export function grpcError(refusal: Refusal) {
  const code = status[errorKinds[refusal.code].grpc as keyof typeof status];
  return Object.assign(new Error(refusal.message), { code, details: `${refusal.code}: ${refusal.message}` });
}
