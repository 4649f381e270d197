import type { BoxRecord, LogRecord, RuleMap } from "@nexus-federation/proto/records.ts";
import type { Request, Response } from "@nexus-federation/proto/request.ts";
import type { Refusal } from "../base/errors.ts";
import type { ChunkProof } from "../blobs/blob-store.ts";
import type { ChunkAnswer, ChunkName } from "../transport/ports.ts";

/** Requests to other boxes, over their forward streams. */
export interface Forward {
  /** `done` is called exactly once, at the latest after `timeoutMs`. */
  send(box: string, request: Request, timeoutMs: number, done: (outcome: ForwardOutcome) => void): void;
  isUp(box: string): boolean;
  /** The box may hang: what it owes is broken soon, unless it says a word. */
  doubt(box: string): void;
}
export type ForwardOutcome =
  | { kind: "answer"; response: Response }
  /** Certainly never reached the other box. */
  | { kind: "unsent"; reason: string }
  /** Sent, and then the stream broke or the time ran out: it may have been executed. */
  | { kind: "broken"; reason: string };

/** Content chunks on this box's disk. */
export interface ChunkStore {
  has(address: Uint8Array): boolean;
  /** Resolves when durable. Idempotent. "hashed": the caller has just made the address from the data, or compared them. */
  put(address: Uint8Array, data: Uint8Array, proof?: ChunkProof): Promise<void>;
  /** Undefined when not held. Checked against its address. */
  get(address: Uint8Array): Promise<Uint8Array | undefined>;
}

/** Content chunks of other boxes. */
export interface ChunkTransfer {
  putChunk(
    box: string,
    chunk: ChunkName,
    options: { data: Uint8Array; signal?: AbortSignal },
  ): Promise<Refusal | undefined>;
  getChunk(box: string, chunk: ChunkName, options: { signal?: AbortSignal }): Promise<ChunkAnswer>;
}

/** Digests: the whole of an upload, and single chunks. */
export interface Hashing {
  sha256(bytes: Uint8Array): Uint8Array;
  running(): { update(bytes: Uint8Array): void; digest(): Uint8Array };
}

/** The last known map of the federation, so that a restart needs no system zone. */
export interface MapFile {
  load(): Uint8Array | undefined;
  /** Keeps the newest when calls overtake each other. */
  save(bytes: Uint8Array): void;
}

/** What the system zone's replica on this box says (machine/: SystemReads). One moment a call. */
export interface SystemReader {
  /** Empty before bootstrap. */
  readonly federationUid: string;
  ruleMap(): RuleMap;
  pendingMap(): RuleMap | undefined;
  /** Of the pending map, without reading its rules. */
  pendingEpoch(): number | undefined;
  /** Why the pending map is only given back; undefined while it is to become the active one. */
  returning(): { code: string; reason: string; rule: string } | undefined;
  boxes(): BoxRecord[];
  /** In order of creation, destroyed ones included. */
  logs(): LogRecord[];
  log(log: number): LogRecord | undefined;
  logOfZone(zone: string): LogRecord | undefined;
  /** Index of the last entry that changed a map, a log or a box. */
  readonly revision: number;
  disruption(): { box: string; holder: string; untilMs: number } | undefined;
}

export interface SystemSource {
  /** Undefined when this box holds no replica of the system zone. */
  system(): SystemReader | undefined;
  /** Index of the last entry that changed boxes, logs or rules, as far as this replica knows; only grows. */
  systemRevision(): number;
  /** Called in the host's turn after such an entry; must not throw. */
  onSystemChanged(listener: () => void): void;
}

/** Tells the transport whom to be connected to. */
export interface Peers {
  setPeer(box: BoxRecord): void;
  removePeer(name: string): void;
}

/** Message, then fields. */
export interface BoxLog {
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
}
