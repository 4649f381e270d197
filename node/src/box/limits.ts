import { defaultLimits } from "../machine/limits.ts";

/** Bounds of a box's work; each has a named answer when it is reached. */
export interface BoxLimits {
  /** Requests under way at once; above it OVERLOADED. */
  requestsMax: number;
  /** Bytes of content in requests under way; above it OVERLOADED. */
  requestBytesMax: number;
  /** Time of a request that names none, ms. */
  timeoutMs: number;
  /** Longer wishes are cut to it, ms; a lock is not waited for longer: INVALID. */
  timeoutMsMax: number;
  /** Bytes of a file that travel inside a request or a log entry. */
  inlineBytesMax: number;
  /** Bytes of one file. */
  fileBytesMax: number;
  /** Uploads and downloads under way at once; above it OVERLOADED. */
  transfersMax: number;
  /** An upload or download that stood still, or moved less than 4 KiB, for so long loses its place to the next one when there is none left, ms. */
  transferStillMs: number;
}

export const defaultBoxLimits: BoxLimits = {
  requestsMax: 20_000,
  requestBytesMax: 256 * 1024 * 1024,
  timeoutMs: 10_000,
  timeoutMsMax: 120_000,
  inlineBytesMax: defaultLimits.inlineBytesMax,
  fileBytesMax: 64 * 1024 ** 3,
  transfersMax: 64,
  transferStillMs: 60_000,
};
