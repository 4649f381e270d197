import type { Reply } from "@nexus-federation/proto/command.ts";
import type { ChunkRef, Event, FileInfo, LockGrant } from "@nexus-federation/proto/records.ts";
import type { Refusal } from "../base/errors.ts";

/** A committed entry of the zone's log. `data` is an encoded Command; empty = no-op. */
export interface LogEntry {
  index: number;
  term: number;
  data: Uint8Array;
}

/** What the machine hands back for one entry: the answer, and what the box should now do (only the leader acts on most). */
export interface Applied {
  reply: Reply;
  effects: readonly Effect[];
}

export type Effect =
  /** Start the timer of this grant; when `waited`, answer the waiting request whose id is `waiterId`. */
  | { kind: "lock-granted"; path: string; grant: LockGrant; waited: boolean; waiterId: Uint8Array }
  /** Restart the timer: an Expire with an older extendSeq no longer applies. */
  | { kind: "lock-extended"; path: string; grant: LockGrant }
  | { kind: "lock-ended"; path: string; lockId: Uint8Array }
  /** The waiting request will never be granted: answer it with `refusal`. */
  | { kind: "wait-ended"; path: string; waiterId: Uint8Array; refusal: Refusal }
  /** `count` events were appended to the change feed under this entry's index. */
  | { kind: "events"; count: number }
  /** No file refers to these chunks and none will without a new upload. */
  | { kind: "chunks-dropped"; addresses: readonly Uint8Array[] }
  /** What the zone owns changed: the box recompiles its view. */
  | { kind: "ownership-changed" }
  /** The mode or lock policy in force changed. */
  | { kind: "policy-changed" }
  | { kind: "level-raised"; level: number }
  /** System zone: the rule map (active or pending), a box or a log record changed. */
  | { kind: "system-changed"; what: "boxes" | "logs" | "rules" | "pending" | "disruption" };

export interface ListOptions {
  /** Names (non-recursive) or relative paths (recursive) must start with it. */
  prefix?: string;
  /** Recursive only: what follows the first delimiter after the prefix is rolled up into one directory entry. */
  delimiter?: string;
  /** `nextPage` of the page before; empty = from the start. */
  page?: string;
  /** 1 to 1000; 0 or absent = 1000. */
  limit?: number;
  recursive?: boolean;
}

export interface ReadOutcome {
  info: FileInfo;
  /** The content when it is inline; empty when `chunks` is not. */
  content: Uint8Array;
  chunks: ChunkRef[];
}

/** A lock that is held: what a new leader needs to start its timers in full. */
export interface HeldLock {
  path: string;
  grant: LockGrant;
}

export interface FeedOutcome {
  /** Whole entries only, in (index, ordinal) order. */
  events: Event[];
  /** Ask from here next: every event up to and with this index was returned. */
  nextIndex: number;
}

export interface ZonePolicy {
  /** strong | strong_ha | eventual */
  mode: string;
  /** eventual only: refuse | upgrade */
  locks: string;
  copiesDeclared: number;
  acceptedRevision: number;
  acceptedHash: string;
}

export interface Ownership {
  /** Federation pattern; empty = the zone is detached and owns nothing. */
  pattern: string;
  /** Federation patterns of deeper rules. */
  exclusions: string[];
  /** Rule map epoch of the last change. */
  epoch: number;
}
