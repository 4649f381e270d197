// What moves bytes between boxes. The problem: thousands of small messages of all groups must reach another process at
// the price of few large writes, only from and to the process that was meant (box AND incarnation), and a slow or dead
// peer must never hold up the sender. Why not one RPC a message: a promise and a frame each costs more than the
// consensus itself. The sketch: one long stream a peer and service; the first frame each way is a handshake, checked
// against the certificate; after it, everything pushed in one turn of the event loop leaves as one frame. Messages are
// encoded `repeated` proto messages, so joining them is itself a valid message. Snapshots and chunks travel on streams
// of their own, so that bulk never stands before a heartbeat.
//
// Adapters: network.ts (gRPC over mutual TLS) and memory.ts (tests, simulator); both pass compliance.fixture.ts.

import type { RaftMessage } from "@nexus-federation/proto/raft.ts";
import type { Refusal } from "../base/errors.ts";
import { defaultLimits } from "../machine/limits.ts";

/**
 * raft: messages one way, PeerBatch. forward: RequestFrame out, ResponseFrame back on the same stream.
 * witness: WitnessBatch out, WitnessBatchReply back.
 */
export const services = ["raft", "forward", "witness"] as const;
export type Service = (typeof services)[number];

/** This process, as it presents itself. */
export interface SelfAddress {
  federation: string;
  box: string;
  /** 16 bytes, drawn with the disk. */
  incarnation: Uint8Array;
  featureLevel: number;
  version: string;
}

/** A process to talk to. */
export interface PeerAddress {
  box: string;
  /** "host:port" of its peer listener. */
  endpoint: string;
  /** 16 bytes; empty when not known yet, which only the witness service accepts (its records carry their own). */
  incarnation: Uint8Array;
  /** Streams to keep open to it. */
  services: readonly Service[];
}

/** The other end of a stream, after the handshake. `box` is proven by its certificate. */
export interface Remote {
  readonly box: string;
  readonly incarnation: Uint8Array;
  readonly featureLevel: number;
  readonly version: string;
}

/** What the owner of outgoing streams is told. Calls come from the network's turn: enqueue, do not work here. */
export interface LinkHandler {
  /** The handshake is done; what is sent now leaves in the next turn. */
  up(remote: Remote): void;
  /** The stream is gone (it reconnects by itself). Requests in flight on it have an unknown outcome. */
  down(box: string, reason: string): void;
  /** An attempt to connect failed; more follow by themselves. For logs and counters. */
  failed?(box: string, reason: string): void;
  /** Joined reply messages. The bytes are a view that stays valid; nobody writes to them again. */
  frame(remote: Remote, bytes: Uint8Array): void;
}

/** One accepted stream. */
export interface Session {
  readonly remote: Remote;
  /** As PeerNetwork.send. */
  reply(message: Uint8Array): boolean;
}

/** What serves incoming streams. Calls come from the network's turn: enqueue, do not work here. */
export interface ServeHandler {
  /**
   * Asked at each handshake after certificate, federation and incarnation were found right.
   * A refusal closes the stream with its sentence.
   */
  admit(remote: Remote): Refusal | undefined;
  frame(session: Session, bytes: Uint8Array): void;
  closed(session: Session): void;
}

export interface PeerNetwork {
  /** Who calls and serves on `service`; set once, before peers and listeners start. */
  onLink(service: Service, handler: LinkHandler): void;
  onServe(service: Service, handler: ServeHandler): void;
  /** Adds a peer, or changes its address; a changed endpoint or incarnation reconnects. Idempotent. */
  setPeer(peer: PeerAddress): void;
  address(box: string): PeerAddress | undefined;
  /** Closes its streams; `down` is reported for those that were up. */
  removePeer(box: string): void;
  /**
   * Queues one encoded message (at most messageBytesMax) for the end of this turn. Never blocks, never throws for a
   * known peer. raft: always true, the oldest are dropped beyond the queue's limit (raft repeats). forward and witness:
   * false when the stream is not up or its queue is full: nothing will be sent.
   */
  send(service: Service, box: string, message: Uint8Array): boolean;
  isUp(service: Service, box: string): boolean;
  /** Bytes that wait for the peer's stream. */
  queuedBytes(service: Service, box: string): number;
  stop(): Promise<void>;
}

/** Largest message that send and reply take; a larger one is a bug of the caller and throws. */
export const messageBytesMax = 4 * 1024 * 1024;
/** Largest gRPC message a listener takes. */
export const grpcMessageBytesMax = 8 * 1024 * 1024;
/** Data of one bulk frame. */
export const bulkFrameBytes = 256 * 1024;
/** A chunk of file content. */
export const chunkBytesMax = defaultLimits.chunkBytesMax;

export interface SnapshotStart {
  log: number;
  /** The raft message of type snapshot whose state follows. */
  message: RaftMessage;
}

export interface ChunkName {
  log: number;
  /** 33 bytes: algorithm id, digest. */
  address: Uint8Array;
}

/** Flow controlled transfers; every promise ends, at the latest by the idle limit of the adapter or the signal. */
export interface BulkClient {
  /**
   * Sends a snapshot; pieces of any size are cut to bulkFrameBytes, the source is pulled only as fast as it is taken.
   * Undefined: the receiver has it durable. `sha256` of the data is appended and checked by the transport.
   */
  sendSnapshot(box: string, start: SnapshotStart, options: SnapshotOptions): Promise<Refusal | undefined>;
  putChunk(
    box: string,
    chunk: ChunkName,
    options: { data: Uint8Array; signal?: AbortSignal },
  ): Promise<Refusal | undefined>;
  /** `absent`: the peer does not hold it. */
  getChunk(box: string, chunk: ChunkName, options: { signal?: AbortSignal }): Promise<ChunkAnswer>;
}

export interface SnapshotOptions {
  source: AsyncIterable<Uint8Array>;
  signal?: AbortSignal;
}

export type ChunkAnswer =
  | { kind: "data"; data: Uint8Array }
  | { kind: "absent" }
  | { kind: "refused"; refusal: Refusal };

export interface BulkServer {
  /**
   * Consumes `data` at its own pace. Iteration throws when the sender goes away or the digest does not match: then
   * nothing of it may be installed. Undefined only when all is durable.
   */
  snapshot(from: Remote, start: SnapshotStart, data: AsyncIterable<Uint8Array>): Promise<Refusal | undefined>;
  /** Undefined only when the chunk is durable. The transport checked its size only, and uses `data` again afterwards. */
  putChunk(from: Remote, chunk: ChunkName, data: Uint8Array): Promise<Refusal | undefined>;
  /** Undefined when not held here. */
  getChunk(from: Remote, chunk: ChunkName): Promise<Uint8Array | undefined>;
}
