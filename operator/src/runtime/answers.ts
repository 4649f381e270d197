import type { Answer } from "./http-call.ts";
import { KubeError, type KubeErrorCode, type StatusCause } from "./kube-error.ts";

/** A Status object, as the API server explains a refusal. */
interface Status {
  kind?: string;
  message?: string;
  reason?: string;
  code?: number;
  details?: { causes?: StatusCause[]; retryAfterSeconds?: number };
}

/** The JSON of a good answer; throws the KubeError of any other. `shown` says which call it was. */
export function readAnswer(answer: Answer, shown: string): unknown {
  if (answer.status >= 200 && answer.status < 300) return parse(answer.body, shown);
  throw errorOf(answer, shown);
}

function parse(text: string, shown: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KubeError("GARBLED", `${shown}: the answer is not JSON: ${text.slice(0, 120)}`, { cause });
  }
}

function errorOf(answer: Answer, shown: string): KubeError {
  let status: Status = {};
  try {
    const read = JSON.parse(answer.body) as Status;
    if (read?.kind === "Status") status = read;
  } catch {
    // A proxy in between answered with a page of its own; its status says enough.
  }
  return statusError(status, answer.status, `${shown}: `, answer.headers["retry-after"]);
}

/** The error that an ERROR event of a watch carries. */
export function watchError(object: unknown): KubeError {
  const status = (typeof object === "object" && object !== null ? object : {}) as Status;
  return statusError(status, status.code ?? 0, "watch: ", undefined);
}

function statusError(status: Status, http: number, prefix: string, retryAfter: string | undefined): KubeError {
  const seconds = Number(retryAfter ?? status.details?.retryAfterSeconds);
  return new KubeError(codeOf(http, status), `${prefix}${status.message ?? `HTTP status ${http}`}`, {
    status: http,
    reason: status.reason ?? "",
    causes: status.details?.causes ?? [],
    ...(Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {}),
  });
}

/** How server-side apply says that a field is not in the schema: as 500 without a reason (seen with 1.36). */
const notInSchema = /^failed to create typed patch object/;

function codeOf(http: number, { reason, message = "" }: Status): KubeErrorCode {
  if (reason === "AlreadyExists") return "ALREADY_EXISTS";
  if (http === 500 && !reason && notInSchema.test(message)) return "INVALID";
  switch (http) {
    case 400:
    case 422:
      return "INVALID";
    case 401:
      return "UNAUTHENTICATED";
    case 403:
      return "FORBIDDEN";
    case 404:
      return "NOT_FOUND";
    case 409:
      return "CONFLICT";
    case 410:
      return "GONE";
    case 429:
      return "TOO_MANY_REQUESTS";
    default:
      return http >= 500 ? "SERVER" : "GARBLED";
  }
}
