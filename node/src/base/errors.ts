// The closed set of refusals (shared by every door, the client and the CLI) and the one error class that carries them.
// Why not one class a room: a refusal travels from the state machine through a forwarder to an HTTP client and must stay
// the same code everywhere; so the code is data, the table below says how each door shows it, and docs are made from it.

export const errorCodes = [
  "NO_ZONE",
  "NOT_FOUND",
  "PRECONDITION_FAILED",
  "CONSISTENCY",
  "UNSUPPORTED_IN_MODE",
  "STALE_EPOCH",
  "NO_LEADER",
  "AUTHORITY_UNREACHABLE",
  "STALENESS_EXCEEDED",
  "COPIES_UNAVAILABLE",
  "LOCKED",
  "FENCED",
  "UNKNOWN_OUTCOME",
  "ZONE_IN_USE",
  "LOOP",
  "ZONE_UNAVAILABLE",
  "DENIED",
  "INVALID",
  "UNAUTHENTICATED",
  "ALREADY_EXISTS",
  "NOT_EMPTY",
  "WRONG_TYPE",
  "COMPACTED",
  "DEADLINE",
  "CORRUPT",
  "VERSION",
  "EXPIRED",
  "GENERATION_CHANGED",
  "INTERNAL",
  "TOO_LARGE",
  "OVERLOADED",
  "DISK_FULL",
] as const;
export type ErrorCode = (typeof errorCodes)[number];

export interface ErrorKind {
  /** HTTP status of problem+json answers. */
  http: number;
  /** Name of the gRPC status. */
  grpc: string;
  /** True when the same request (same request id) may succeed later without any change by the caller. */
  retryable: boolean;
  /** What it means, one sentence. */
  meaning: string;
  /** What to do, one sentence. */
  advice: string;
}

export const errorKinds: Record<ErrorCode, ErrorKind> = {
  NO_ZONE: kind(
    404,
    "NOT_FOUND",
    false,
    "No rule covers this path.",
    "Add a ConsensusZone whose pattern covers it, or correct the path.",
  ),
  NOT_FOUND: kind(404, "NOT_FOUND", false, "Nothing stands at this path.", "List the parent to see what is there."),
  PRECONDITION_FAILED: kind(
    412,
    "FAILED_PRECONDITION",
    false,
    "The object is not in the state that the request demanded.",
    "Read it again and decide anew.",
  ),
  CONSISTENCY: kind(
    409,
    "FAILED_PRECONDITION",
    false,
    "A lock or compare-and-set was asked of an eventual zone.",
    "Use a path in a strong zone, or set locks: upgrade on the zone.",
  ),
  UNSUPPORTED_IN_MODE: kind(
    422,
    "UNIMPLEMENTED",
    false,
    "The zone's mode cannot honour this request.",
    "Drop the option, or use a zone whose mode can.",
  ),
  STALE_EPOCH: kind(
    409,
    "ABORTED",
    true,
    "The request was routed by an older rule map.",
    "Retry; the client does so by itself with the new map.",
  ),
  NO_LEADER: kind(
    503,
    "UNAVAILABLE",
    true,
    "The zone has no leader that is known here.",
    "Retry; an election normally ends in well under a second.",
  ),
  AUTHORITY_UNREACHABLE: kind(
    503,
    "UNAVAILABLE",
    true,
    "The box that alone may serve this zone cannot be reached.",
    "Retry when it is back, or ask for a bounded-stale read.",
  ),
  STALENESS_EXCEEDED: kind(
    503,
    "UNAVAILABLE",
    true,
    "No copy that can be reached is provably as fresh as was asked.",
    "Retry, or allow more staleness.",
  ),
  COPIES_UNAVAILABLE: kind(
    503,
    "UNAVAILABLE",
    true,
    "Fewer durable copies can be reached than the request demands.",
    "Retry when the members are back, or demand fewer copies.",
  ),
  LOCKED: kind(423, "FAILED_PRECONDITION", true, "Somebody else holds the lock.", "Wait, or ask with a wait time."),
  FENCED: kind(
    412,
    "FAILED_PRECONDITION",
    false,
    "The fence is not one of a current holder of the lock.",
    "Acquire the lock again before writing.",
  ),
  UNKNOWN_OUTCOME: kind(
    504,
    "UNKNOWN",
    true,
    "The request timed out after it was proposed; it may or may not be applied.",
    "Retry with the same request id: it is applied at most once.",
  ),
  ZONE_IN_USE: kind(
    409,
    "FAILED_PRECONDITION",
    false,
    "Something still uses the zone.",
    "Remove what the message names first.",
  ),
  LOOP: kind(
    508,
    "ABORTED",
    true,
    "The request was forwarded in a circle or over too many hops.",
    "Retry; if it persists, compare the rule maps of the boxes.",
  ),
  ZONE_UNAVAILABLE: kind(
    503,
    "UNAVAILABLE",
    true,
    "The zone behind this path cannot be reached.",
    "Retry, or see its status.",
  ),
  DENIED: kind(
    403,
    "PERMISSION_DENIED",
    false,
    "The caller may not do this.",
    "Ask for the right, or use another identity.",
  ),
  INVALID: kind(
    400,
    "INVALID_ARGUMENT",
    false,
    "A field of the request is wrong.",
    "Correct the field that the message names.",
  ),
  UNAUTHENTICATED: kind(
    401,
    "UNAUTHENTICATED",
    false,
    "The request carries no valid credentials.",
    "Send a valid bearer token or client certificate.",
  ),
  ALREADY_EXISTS: kind(
    409,
    "ALREADY_EXISTS",
    false,
    "Something already stands at this path.",
    "Use another path, or say that it may be replaced.",
  ),
  NOT_EMPTY: kind(
    409,
    "FAILED_PRECONDITION",
    false,
    "The directory is not empty.",
    "Empty it first, or delete recursively.",
  ),
  WRONG_TYPE: kind(
    409,
    "FAILED_PRECONDITION",
    false,
    "The object at this path is of another type.",
    "Use the operation for that type.",
  ),
  COMPACTED: kind(
    410,
    "OUT_OF_RANGE",
    false,
    "The change feed no longer reaches back to the place asked for.",
    "List again and watch from there.",
  ),
  DEADLINE: kind(
    504,
    "DEADLINE_EXCEEDED",
    true,
    "The time ran out before anything was proposed.",
    "Retry, with more time if needed.",
  ),
  CORRUPT: kind(
    500,
    "DATA_LOSS",
    false,
    "Stored data failed its checksum and was not served.",
    "See nexus doctor; the member re-replicates from its peers.",
  ),
  VERSION: kind(
    426,
    "FAILED_PRECONDITION",
    false,
    "A disk, peer or command is of a newer version than this box knows.",
    "Upgrade this box.",
  ),
  EXPIRED: kind(
    410,
    "OUT_OF_RANGE",
    false,
    "The request is older than the time for which retries are remembered; it was not executed.",
    "Read the state, then send a new request with a new id.",
  ),
  GENERATION_CHANGED: kind(
    409,
    "ABORTED",
    false,
    "The zone was recovered or handed over since this token, cursor or fence was made.",
    "Read the state again and start anew.",
  ),
  INTERNAL: kind(500, "INTERNAL", false, "A fault inside Nexus.", "Report it with the log lines of that time."),
  TOO_LARGE: kind(
    413,
    "RESOURCE_EXHAUSTED",
    false,
    "The request is above a limit.",
    "Stay below the limit that the message names.",
  ),
  OVERLOADED: kind(429, "RESOURCE_EXHAUSTED", true, "A queue is full.", "Retry after the time given."),
  DISK_FULL: kind(
    507,
    "RESOURCE_EXHAUSTED",
    true,
    "The disk of a member is below its reserve; reads and deletes go on.",
    "Free or add space.",
  ),
};

function kind(http: number, grpc: string, retryable: boolean, meaning: string, advice: string): ErrorKind {
  return { http, grpc, retryable, meaning, advice };
}

/** A refusal as a value: what state machines and engines return. */
export interface Refusal {
  code: ErrorCode;
  /** One sentence: what was expected, what came, what to do. */
  message: string;
  /** The command was applied although a demanded guarantee was not reached in time. */
  applied?: boolean;
  retryAfterMs?: number;
  epoch?: number;
  leaderBox?: string;
  details?: Record<string, string>;
}

export function refuse(code: ErrorCode, message: string, more: Partial<Refusal> = {}): Refusal {
  return { code, message, ...more };
}

/** A refusal as an exception: what clients throw and what outer layers raise. */
export class NexusError extends Error {
  readonly code: ErrorCode;
  readonly refusal: Refusal;
  constructor(code: ErrorCode, message: string, options: { cause?: unknown; refusal?: Partial<Refusal> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "NexusError";
    this.code = code;
    this.refusal = { code, message, ...options.refusal };
  }
  get retryable(): boolean {
    return errorKinds[this.code].retryable;
  }
}

/** Text of anything thrown, for messages and logs. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Tells a refusal from the value that a function returns instead of it. */
export function isRefusal(value: unknown): value is Refusal {
  return typeof value === "object" && value !== null && typeof (value as Refusal).code === "string";
}
