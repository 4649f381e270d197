import type { FileInfo, Listing, LockGrant, LockState } from "@nexus-federation/proto/records.ts";
import type { Refusal } from "../base/errors.ts";
import type { FeedOutcome, ListOptions, Ownership, ReadOutcome, ZonePolicy } from "../machine/api.ts";

/** The applied state of the local replica of a zone's log (machine/: Machine). Zone paths; each call reads one moment. */
export interface ZoneReader {
  stat(path: string): FileInfo | Refusal;
  read(path: string): ReadOutcome | Refusal;
  list(path: string, options: ListOptions): Listing | Refusal;
  lock(path: string): LockState | Refusal;
  /** Events with a larger index, whole entries, about `limit`. COMPACTED below the floor. */
  eventsAfter(index: number, limit: number): FeedOutcome | Refusal;
  readonly feedFloor: number;
  /** Index of the last command in what is shown; the log's own count lags while a batch or a snapshot is being applied. */
  readonly appliedIndex: number;
  readonly locksHeld: number;
  readonly policy: ZonePolicy;
  readonly ownership: Ownership;
}

/** Where the engines find the state behind a log. */
export interface ZoneStates {
  /** Undefined when this box holds no replica, or one that must not serve. */
  reader(log: number): ZoneReader | undefined;
  /** What became of waiting lock requests. Called in the host's turn on every member; must not throw. */
  onWaitEnded(listener: (log: number, end: WaitEnd) => void): void;
}

export interface WaitEnd {
  path: string;
  /** LockWaiting.waiterId. */
  waiterId: Uint8Array;
  outcome: { kind: "granted"; grant: LockGrant } | { kind: "ended"; refusal: Refusal };
}

/** Where a box stands, for receipts. */
export interface Places {
  /** Empty when the box is unknown. */
  regionOf(box: string): string;
}
