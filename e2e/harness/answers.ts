// What a client under faults keeps of the answers to its calls: when changes were acknowledged, and what refusals say.
import { NexusError } from "@nexus-federation/node/base/errors.ts";
import type { Outcome } from "./history.ts";

export interface Acknowledgement {
  invokedMs: number;
  atMs: number;
}

/** Refusals that say for sure that nothing was executed, whatever came before. */
const certainlyNot = new Set<string>([
  "DEADLINE",
  "NO_LEADER",
  "OVERLOADED",
  "EXPIRED",
  "INVALID",
  "NO_ZONE",
  "STALE_EPOCH",
  "AUTHORITY_UNREACHABLE",
  "DISK_FULL",
  "LOCKED",
]);
/** Refusals of the log itself: looked at, and found not to hold. */
const refusedByState = new Set<string>(["PRECONDITION_FAILED", "NOT_FOUND", "FENCED"]);

export function outcomeOf(code: string): Outcome {
  if (refusedByState.has(code)) return "failed";
  return certainlyNot.has(code) ? "none" : "unknown";
}

/** How often each code was answered. */
export class Refusals {
  readonly counts = new Map<string, number>();

  /** The code of what was thrown. */
  count(error: unknown): string {
    const code = error instanceof NexusError ? error.code : String(error);
    this.counts.set(code, (this.counts.get(code) ?? 0) + 1);
    return code;
  }

  toString(): string {
    return [...this.counts].map(([code, count]) => `${code} ${count}`).join(", ");
  }
}

/** Time from `faultMs` to the first acknowledgement of a change begun after it; undefined while there is none. */
export function recoveredAfter(acknowledged: readonly Acknowledgement[], faultMs: number): number | undefined {
  const first = acknowledged.find((ack) => ack.invokedMs > faultMs);
  return first && first.atMs - faultMs;
}

/** A time without any acknowledgement: how long it was, and how long after the first moment it began, ms. */
export interface Gap {
  ms: number;
  afterMs: number;
}

/** The longest between two moments. */
export function longestGap(acknowledged: readonly Acknowledgement[], fromMs: number, toMs: number): Gap {
  let last = fromMs;
  let longest: Gap = { ms: 0, afterMs: 0 };
  const look = (atMs: number) => {
    if (atMs - last > longest.ms) longest = { ms: atMs - last, afterMs: last - fromMs };
    last = atMs;
  };
  for (const { atMs } of acknowledged) if (atMs > fromMs && atMs < toMs) look(atMs);
  look(toMs);
  return longest;
}
