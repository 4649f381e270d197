// What callers say, checked before it is sent: a number that the wire cannot carry would end as INTERNAL, or in no answer.
import type { RequestOptions } from "@nexus-federation/proto/request.ts";
import { NexusError } from "../base/errors.ts";
import { decodeToken } from "../base/token.ts";
import type { Pin } from "./pool.ts";
import type { ReadOptions, WriteOptions } from "./types.ts";

/** Largest number that goes into a 32-bit field. */
const most = 2 ** 32 - 1;

/** The number as it is, or INVALID: whole and at least `least`. Undefined passes. */
export function whole<Value extends number | undefined>(name: string, value: Value, least = 0, greatest = most): Value {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= greatest)) return value;
  const range = greatest === most ? `at least ${least}` : `${least} to ${greatest}`;
  throw new NexusError("INVALID", `${name}: a whole number, ${range}, is expected; ${value} came`);
}

/** The text as it is, or INVALID: a lone surrogate would be sent as another character, and something else be written. */
export function text(name: string, value: string): string {
  if (value.isWellFormed()) return value;
  throw new NexusError("INVALID", `${name}: valid Unicode is expected; a lone surrogate came`);
}

/** Metadata as it is, or INVALID. */
export function texts(metadata: Record<string, string>): Record<string, string> {
  for (const key in metadata) text("metadata", key) && text("metadata", metadata[key]!);
  return metadata;
}

/** A time in ms, rounded down, or INVALID. */
export function time(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return Math.max(1, Math.floor(Math.min(value, Number.MAX_SAFE_INTEGER)));
  throw new NexusError("INVALID", `${name}: more than 0 ms is expected; ${value} came`);
}

export function checkRead({ minCopies, maxStalenessMs }: ReadOptions): void {
  whole("minCopies", minCopies);
  whole("maxStalenessMs", maxStalenessMs, 0, Number.MAX_SAFE_INTEGER);
}

/** The pin that the caller knows of an earlier attempt; none is no pin. */
export function checkWrite({ ifRevision, pin }: WriteOptions): Pin | undefined {
  whole("ifRevision", ifRevision, 0, Number.MAX_SAFE_INTEGER);
  if (pin === undefined) return undefined;
  const token = decodeToken(typeof pin === "string" ? Buffer.from(pin, "base64url") : pin);
  if (token !== undefined) return { pinLog: token.log, pinGeneration: token.generation };
  throw new NexusError("INVALID", "pin: the token of a receipt, or details.pin of an UNKNOWN_OUTCOME, is expected");
}

/** What the options of a request say of an earlier attempt. */
export function givenPin({ pinLog, pinGeneration }: RequestOptions): Pin | undefined {
  return pinLog === undefined || pinGeneration === undefined ? undefined : { pinLog, pinGeneration };
}

/** A token that fits into a header, or INVALID without showing it. */
export function bearer(token: string): string {
  if (/^[!-~]+$/.test(token)) return `Bearer ${token}`;
  throw new NexusError("INVALID", "token: visible ASCII characters without spaces are expected; something else came");
}
