// What HTTP requests say: paths from the raw target, options from headers. Each bad field is one INVALID sentence.
import type { IncomingHttpHeaders } from "node:http";
import type { Precondition } from "@nexus-federation/proto/command.ts";
import type { RequestOptions } from "@nexus-federation/proto/request.ts";
import { fromHex, hexOf, noBytes } from "../base/bytes.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { parseFence } from "../base/fence.ts";
import { decodeToken } from "../base/token.ts";
import type { Caller } from "../box/api.ts";
import { noOptions } from "../box/ask.ts";
import { defaultBoxLimits } from "../box/limits.ts";
import type { Address } from "../tree/path.ts";
import { addressOfUrl } from "../tree/url.ts";

/**
 * The address behind `prefix` in a raw request target; nothing behind it is the root. The router matches decoded targets,
 * so a prefix that is itself percent-encoded comes here too and is INVALID: nobody can tell where the path begins.
 */
export function addressBehind(prefix: string, rawUrl: string): Address | Refusal {
  if (!rawUrl.startsWith(prefix)) return refuse("INVALID", `URL: expected ${prefix} as it is, without percent signs`);
  const rest = rawUrl.slice(prefix.length);
  const end = rest.search(/[?#]/);
  const path = end < 0 ? rest : rest.slice(0, end);
  return addressOfUrl(path === "" ? "/" : path.startsWith("/") ? path : `/${path}`);
}

/** "1500", "1500ms", "2s" or "1m" in milliseconds. */
export function durationMs(text: string): number | undefined {
  const match = /^([0-9]{1,9})(ms|s|m)?$/.exec(text);
  if (!match) return undefined;
  return Number(match[1]) * (match[2] === "s" ? 1000 : match[2] === "m" ? 60_000 : 1);
}

export function optionsOf(headers: IncomingHttpHeaders, caller: Caller): RequestOptions | Refusal {
  const options = { ...noOptions, principal: caller.principal };
  const timeout = durationHeader(headers, "nexus-timeout");
  if (isRefusal(timeout)) return timeout;
  if (timeout !== undefined) {
    if (timeout < 1 || timeout > defaultBoxLimits.timeoutMsMax)
      return invalid("nexus-timeout", `between 1 ms and ${defaultBoxLimits.timeoutMsMax} ms`);
    options.timeoutMs = timeout;
  }
  const staleness = durationHeader(headers, "nexus-max-staleness");
  if (isRefusal(staleness)) return staleness;
  options.maxStalenessMs = staleness;
  const copies = text(headers, "nexus-min-copies");
  if (copies !== undefined) {
    if (!/^[0-9]{1,2}$/.test(copies)) return invalid("nexus-min-copies", "a small number");
    options.minCopies = Number(copies);
  }
  const after = text(headers, "nexus-after");
  if (after !== undefined) {
    if (!/^[A-Za-z0-9_-]{1,256}$/.test(after)) return invalid("nexus-after", "the token of a receipt");
    options.after = Buffer.from(after, "base64url");
  }
  options.readPreference = text(headers, "nexus-read-preference") ?? "";
  options.writeConcern = text(headers, "nexus-write-concern") ?? "";
  return withRequestId(headers, options);
}

function withRequestId(headers: IncomingHttpHeaders, options: RequestOptions): RequestOptions | Refusal {
  const id = text(headers, "nexus-request-id");
  if (id !== undefined) {
    const bytes = fromHex(id.replaceAll("-", ""));
    if (bytes?.length !== 16) return invalid("nexus-request-id", "16 bytes in hex (a UUID is fine)");
    options.requestId = Buffer.from(bytes);
  }
  const time = text(headers, "nexus-request-time");
  if (time !== undefined) {
    if (!/^[0-9]{1,15}$/.test(time)) return invalid("nexus-request-time", "the log-time-ms of a receipt");
    options.requestTimeMs = Number(time);
  }
  const pin = text(headers, "nexus-request-pin");
  if (pin !== undefined) {
    const token = /^[A-Za-z0-9_-]{1,64}$/.test(pin) ? decodeToken(Buffer.from(pin, "base64url")) : undefined;
    if (token === undefined) return invalid("nexus-request-pin", "the token of a receipt of the zone that is changed");
    options.pinLog = token.log;
    options.pinGeneration = token.generation;
  }
  return options;
}

/** If-Match, If-None-Match, Nexus-Fence and Nexus-Lock-Path; undefined when the request has none of them. */
export function conditionOf(headers: IncomingHttpHeaders): Precondition | undefined | Refusal {
  const condition: Precondition = {
    ifMatch: noBytes as Buffer,
    ifNoneMatch: false,
    ifRevision: undefined,
    fenceCounter: 0,
    fenceGeneration: 0,
    lockPath: "",
    ifExists: false,
  };
  const match = text(headers, "if-match");
  if (match === "*") condition.ifExists = true;
  else if (match !== undefined) {
    const etag = parseEtag(match);
    if (!etag) return invalid("if-match", 'one quoted etag of 64 hex digits, or "*"');
    condition.ifMatch = Buffer.from(etag);
  }
  const none = text(headers, "if-none-match");
  if (none !== undefined && none !== "*") return invalid("if-none-match", "* on requests that change something");
  condition.ifNoneMatch = none === "*";
  const fence = text(headers, "nexus-fence");
  if (fence !== undefined) {
    const parsed = parseFence(fence);
    if (!parsed) return invalid("nexus-fence", "the printed fence of a lock");
    condition.fenceCounter = parsed.counter;
    condition.fenceGeneration = parsed.generation;
  }
  condition.lockPath = text(headers, "nexus-lock-path") ?? "";
  if (condition.lockPath && fence === undefined) return invalid("nexus-lock-path", "to come with nexus-fence");
  const used = match !== undefined || none !== undefined || fence !== undefined;
  return used ? condition : undefined;
}

/** The 32 bytes of a quoted etag; weak and foreign ones never match, so they are undefined. */
export function parseEtag(quoted: string): Uint8Array | undefined {
  const match = /^"([0-9a-f]{64})"$/.exec(quoted.trim());
  return match ? fromHex(match[1]!) : undefined;
}

/** Whether one etag of an If-None-Match or If-Match list stands for `etag`; weak ones count where `weak` (RFC 9110, 8.8.3.2). */
export function etagListed(header: string, etag: Uint8Array, weak: boolean): boolean {
  if (header.trim() === "*") return true;
  const wanted = `"${hexOf(etag)}"`;
  return header.split(",").some((one) => {
    const quoted = one.trim();
    return quoted === wanted || (weak && quoted === `W/${wanted}`);
  });
}

/** INVALID for a query that says nothing certain: parsers put a sign of replacement, or the percent signs, for bad bytes. */
export function queryProblem(rawUrl: string): Refusal | undefined {
  const at = rawUrl.indexOf("?");
  if (at < 0) return undefined;
  for (const part of rawUrl.slice(at + 1).split("&")) {
    try {
      if (/^[!-~]*$/.test(part) && decodeURIComponent(part) !== undefined) continue;
    } catch {
      // Said below.
    }
    const name = part.split("=", 1)[0]!.replaceAll(/[^\w.-]/g, "?");
    return refuse("INVALID", `query parameter ${name.slice(0, 40)}: expected percent-encoded UTF-8`);
  }
  return undefined;
}

/** The first value of a query parameter, "" when it is absent. */
export function queryText(request: { query: unknown }, name: string): string {
  const value = (request.query as Record<string, unknown>)[name];
  const first = Array.isArray(value) ? (value[0] as unknown) : value;
  return typeof first === "string" ? first : "";
}

export interface ByteRange {
  offset: number;
  length: number;
}

/**
 * One range of `Range: bytes=…` against a file of `size` bytes (RFC 9110, 14.2). Undefined: none, several or not bytes,
 * so the whole file is sent. "unsatisfiable" answers 416.
 */
export function rangeOf(header: string | undefined, size: number): ByteRange | "unsatisfiable" | undefined {
  const match = /^bytes=([0-9]{0,15})-([0-9]{0,15})$/.exec(header?.trim() ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return undefined;
  if (match[1] === "") {
    const suffix = Math.min(Number(match[2]), size);
    return suffix === 0 ? "unsatisfiable" : { offset: size - suffix, length: suffix };
  }
  const first = Number(match[1]);
  if (first >= size) return "unsatisfiable";
  const last = match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  return last < first ? undefined : { offset: first, length: last - first + 1 };
}

/** `Nexus-Meta-<key>: value` headers as user metadata, whatever the keys are: which of them may be, the zone says. */
export function metadataOf(headers: IncomingHttpHeaders): Record<string, string> {
  const pairs: [string, string][] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith("nexus-meta-") && typeof value === "string")
      pairs.push([name.slice("nexus-meta-".length), value]);
  }
  return Object.fromEntries(pairs);
}

function durationHeader(headers: IncomingHttpHeaders, name: string): number | undefined | Refusal {
  const value = text(headers, name);
  if (value === undefined) return undefined;
  return durationMs(value) ?? invalid(name, "a duration such as 1500ms or 2s");
}

function text(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "string" ? value : undefined;
}

function invalid(header: string, expected: string): Refusal {
  return refuse("INVALID", `header ${header}: expected ${expected}`);
}
