/** What went wrong with a call to the API server, as a caller has to tell it apart. */
export type KubeErrorCode =
  /** 404: no such object, or no such kind (its CRD is missing). */
  | "NOT_FOUND"
  /** 409 on create: the name is taken. */
  | "ALREADY_EXISTS"
  /** 409: the object is not the one, or not in the version, that the call was about. Read again. */
  | "CONFLICT"
  /** 410: the list page or the watch cannot be continued. List again. */
  | "GONE"
  /** 400 or 422: the object breaks a rule of its schema; the same call will never pass. */
  | "INVALID"
  /** 401: the credentials are not accepted. */
  | "UNAUTHENTICATED"
  /** 403: RBAC, admission or quota refuses the call. */
  | "FORBIDDEN"
  /** 429: too many requests, or an eviction that a PodDisruptionBudget holds back. */
  | "TOO_MANY_REQUESTS"
  /** 5xx. */
  | "SERVER"
  /** The connection failed; a write may have happened or not. */
  | "NETWORK"
  /** No answer within the deadline; a write may have happened or not. */
  | "DEADLINE"
  /** The caller's signal ended the call; a write may have happened or not. */
  | "ABORTED"
  /** The answer is not what the API speaks (a proxy's page, cut JSON, above the size limit). */
  | "GARBLED";

export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

export class KubeError extends Error {
  readonly code: KubeErrorCode;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The server's own word, such as `Conflict` or `Expired`; empty without an answer. */
  readonly reason: string;
  /** The fields that are blamed (INVALID), or what holds an eviction back. */
  readonly causes: readonly StatusCause[];
  /** What Retry-After said. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: KubeErrorCode,
    message: string,
    more: { status?: number; reason?: string; causes?: StatusCause[]; retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = "KubeError";
    this.code = code;
    this.status = more.status ?? 0;
    this.reason = more.reason ?? "";
    this.causes = more.causes ?? [];
    this.retryAfterMs = more.retryAfterMs;
  }
}

export function isKubeError(error: unknown, ...codes: KubeErrorCode[]): error is KubeError {
  return error instanceof KubeError && (codes.length === 0 || codes.includes(error.code));
}
