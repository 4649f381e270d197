import type { Receipt } from "@nexus-federation/proto/records.ts";

export type RegisterKind = "read" | "write" | "create" | "cas" | "delete";

/**
 * What became of a call. ok and failed: executed, with that answer (failed: its condition did not hold). none: certainly
 * not executed. unknown: may have been executed, or may yet be.
 */
export type Outcome = "ok" | "failed" | "none" | "unknown";

/** One call on one register, from the first attempt to the last answer. Contents are told by their etags in hex. */
export interface Call {
  client: number;
  kind: RegisterKind;
  path: string;
  /** Etag written; of a read: found, empty when there was no file. */
  value: string;
  /** cas: the etag that was expected. */
  expected: string;
  /** Reads that allowed staleness are checked against their receipts alone. */
  stale: boolean;
  /** The box that was asked answered from its own replica. */
  local: boolean;
  /** Places in the order of all that clients saw. */
  invoked: number;
  returned: number;
  invokedMs: number;
  /** When the box answered. */
  answeredMs: number;
  outcome: Outcome;
  code: string;
  receipt: Receipt | undefined;
}

/** A mutex or semaphore held by a client, as far as the client can know. */
export interface Hold {
  client: number;
  path: string;
  fence: bigint;
  invoked: number;
  returned: number;
  /** From the answer until the release was asked for, or the time to live had passed since the request was sent. */
  fromMs: number;
  untilMs: number;
}

export class History {
  readonly calls: Call[] = [];
  readonly holds: Hold[] = [];
  #order = 0;

  next(): number {
    return ++this.#order;
  }
}
