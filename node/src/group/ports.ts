import type { Command } from "@nexus-federation/proto/command.ts";
import type { Clock, Random } from "../base/clock.ts";
import type { LogWrite } from "../log/records.ts";
import type { Applied, HeldLock, LogEntry } from "../machine/api.ts";
import type { Logger } from "../raft/types.ts";
import type { BulkClient, PeerNetwork } from "../transport/ports.ts";

/** The durable log of all groups of this box (log/: SegmentLog). */
export interface DurableLog {
  /**
   * Resolves when all of it is durable, in the order of the calls; several may be under way. A rejection means that
   * nothing is known of it: the host then stops (the supervisor starts it again from what is durable).
   */
  append(writes: readonly LogWrite[]): Promise<void>;
}

/** Where a replica's state stands: written atomically with the state itself. */
export interface StatePosition {
  /** Index, term and epoch of the last entry applied. */
  index: number;
  term: number;
  epoch: number;
  /** Encoded GroupConfig in force at `index`. */
  config: Uint8Array;
}

/** Applied state of all replicas of this box: machines over one store. */
export interface States {
  /**
   * The live state of a log; empty when there is none. `storedAs`: generation under which it is stored, when that is an
   * earlier one. Called once per log, generation and life of the host; the state opened before is given up.
   */
  open(log: number, generation: number, storedAs?: number): ReplicaState;
  /** Deletes what may be left of a log that has no replica here, under the generation it was stored as. */
  drop(log: number, storedAs: number): void;
  /** Writes what all replicas gathered since the last call as one batch; not synced. */
  commit(): void;
}

/** Not reentrant. What `apply` and `setPosition` change is visible at once and in the store after `States.commit`. */
export interface ReplicaState {
  /** Undefined for an empty one. */
  readonly position: StatePosition | undefined;
  /** Last applied index that a power cut cannot take back; 0 when none. */
  readonly syncedIndex: number;
  /** The log's time: the highest stamp applied. */
  readonly logTimeMs: number;
  apply(entry: LogEntry, command: Command | undefined): Applied;
  setPosition(position: StatePosition): void;
  heldLocks(): Iterable<HeldLock>;
  /** The committed state as of now, however the live one moves on. */
  snapshot(): StateSnapshot;
  /** A place beside the live state to fill from a snapshot. A former one that was not installed is dropped. */
  restore(): StateRestore;
  /** Deletes everything, now or in the background. */
  destroy(): void;
}

export interface StateSnapshot {
  readonly position: StatePosition;
  /** Equal states give equal bytes. Read once; memory is bounded by one piece. */
  pieces(): Iterable<Uint8Array>;
  close(): void;
}

export interface StateRestore {
  /** Refuses by throwing: the bytes are no snapshot. */
  add(piece: Uint8Array): void;
  /** After the last piece. Resolves when the new state is durable; it is not live yet. */
  finish(position: StatePosition): Promise<void>;
  /** After finish: addresses of the chunks that the state refers to. */
  chunks(): Iterable<Uint8Array>;
  /** Makes it the live state; durable when resolved. */
  install(): Promise<void>;
  abort(): void;
}

/** Content chunks of this box (blobs/) and a way to get them from others. */
export interface ChunkKeeper {
  /** Durable here. From an index in memory. */
  has(address: Uint8Array): boolean;
  /** Resolves when all are durable here, rejects when none of the boxes could give one of them in time. */
  fetch(log: number, addresses: readonly Uint8Array[], fromBoxes: readonly string[]): Promise<void>;
}

export interface HostNeeds {
  clock: Clock;
  random: Random;
  log: DurableLog;
  states: States;
  network: PeerNetwork;
  bulk: Pick<BulkClient, "sendSnapshot">;
  chunks: ChunkKeeper;
  /** True while the free space is below the reserve: proposals are refused, deletes go on. */
  diskLow(): boolean;
  /** Feature level that a box announced; undefined when it was never seen. */
  featureLevelOf(box: string): number | undefined;
  /** A failure after which the process must end: the log or the store cannot be trusted. */
  onFatal(error: unknown): void;
  logger?: Logger;
  /** Told how long each batch of entries took to apply. */
  applyTook?: (seconds: number) => void;
  /** The longest that this process's event loop was late in the last seconds, ms; elections wait that much longer. */
  loopDelayMs?: () => number;
}
