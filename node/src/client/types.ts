// What callers of the TypeScript client say and get.
import type { FileInfo, LockGrant, Receipt } from "@nexus-federation/proto/records.ts";

/** Where a federation is and who we are to it. */
export interface ClientSettings {
  federation: string;
  /** "host:port" of client listeners of any boxes; one that answers is enough. */
  endpoints: string[];
  /** Where an endpoint that the federation names is reached from here, "host:port", such as a port-forward. Default: there. */
  dial?: (endpoint: string) => string;
  /** PEM bundle that the boxes' certificates must come from; absent: plaintext, which boxes offer on loopback only. */
  ca?: string;
  /** Client certificate and key (PEM) instead of, or beside, a token. */
  cert?: string;
  key?: string;
  /** Bearer token. */
  token?: string;
  /** Default time of one call, retries included, in ms. Default 10,000. */
  timeoutMs?: number;
  /** Calls that may wait for answers at once; more are refused with OVERLOADED. Default 16,384. */
  inFlightMax?: number;
}

export interface CallOptions {
  /** Time of the call, retries included, in ms. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Token of an earlier receipt: read your own writes from any box. */
  after?: Uint8Array;
  /** Address the root of this zone instead of a federation path. */
  zone?: string;
}
export interface ReadOptions extends CallOptions {
  /** Accept an answer that is provably at most this old, in ms. Absent: the zone's default. */
  maxStalenessMs?: number;
  readPreference?: "local" | "nearest" | "leader" | "authority";
  minCopies?: number;
}
export interface WriteOptions extends CallOptions {
  /** Refuse unless this many full copies are durable at the answer. */
  minCopies?: number;
  writeConcern?: "authority" | "majority" | "all";
  /** 16 bytes; a retry with the same id is applied once. Drawn when absent. */
  requestId?: Uint8Array;
  /** Token of a receipt of the zone, or `details.pin` of an UNKNOWN_OUTCOME: a retry is executed in that log or not at all. */
  pin?: Uint8Array | string;
  /** etag (32 bytes) that must stand there. */
  ifMatch?: Uint8Array;
  /** The path must be free. */
  ifNoneMatch?: boolean;
  ifRevision?: number;
  /** Printed fence of a lock that the write needs, and the lock's path when it is not the path written. */
  fence?: string;
  lockPath?: string;
}
export interface PutOptions extends WriteOptions {
  contentType?: string;
  metadata?: Record<string, string>;
}
export interface ListOptions extends ReadOptions {
  prefix?: string;
  recursive?: boolean;
  /** Entries a page, at most 1000. */
  limit?: number;
  page?: string;
}
export interface LockOptions extends CallOptions {
  kind?: "mutex" | "semaphore";
  /** Holders a semaphore takes. */
  slots?: number;
  /** Default 30,000. */
  ttlMs?: number;
  /** How long to queue for it; 0 or absent: refused with LOCKED when held. */
  waitMs?: number;
  owner?: string;
  requestId?: Uint8Array;
}

export interface Written {
  receipt: Receipt;
  info: FileInfo | undefined;
}
export interface Content {
  receipt: Receipt;
  info: FileInfo;
  content: Uint8Array;
}
export interface Stat {
  receipt: Receipt;
  info: FileInfo;
}
export interface ListPage {
  receipt: Receipt;
  entries: FileInfo[];
  nextPage: string;
}
export interface Granted {
  receipt: Receipt;
  grant: LockGrant;
  /** generation * 2^40 + counter, decimal. */
  fence: string;
}
