import type { Command, Reply } from "@nexus-federation/proto/command.ts";
import type { DeclaredReplica, GroupConfig } from "@nexus-federation/proto/raft.ts";
import type { LogMember, RecoveryRecord } from "@nexus-federation/proto/records.ts";
import type { Refusal } from "../base/errors.ts";
import type { Effect } from "../machine/api.ts";

/** What zone engines see of the multi-Raft host. Calls are synchronous; answers come by callback, in turn order. */
export interface Groups {
  /** Logs that this box holds a replica of. */
  has(log: number): boolean;
  /** All of them. */
  logs(): number[];
  view(log: number): GroupView | undefined;

  /**
   * Proposes a command on the local leader of the log. `done` is called exactly once: after it was applied here, or with
   * a refusal: NO_LEADER (certainly not applied, `leaderBox` names who leads), DISK_FULL, OVERLOADED, VERSION, or
   * UNKNOWN_OUTCOME (leadership was lost after it had been appended).
   */
  propose(log: number, proposal: Proposal): void;

  /**
   * A linearizable read point: `done` is called when this replica has applied everything that was committed anywhere
   * before the call (ReadIndex, local in SOLO). Works on leader, followers and learners. Refusals: NO_LEADER, DEADLINE.
   */
  readIndex(log: number, done: (refusal: Refusal | undefined, index: number) => void, timeoutMs: number): void;

  /**
   * Staleness of this replica in ms by its last confirmed probe of the leader, 0 on a leader with a confirmed read
   * point, Infinity when never confirmed. Probing starts at the first call and stops when nobody asks any more. A `report` (status, metrics) is told what is proven already, which is
   * renewed twice a minute and keeps no group awake.
   */
  stalenessMs(log: number, asks?: "read" | "report"): number;

  /** Calls back once this replica has applied `index` of that generation (used by `after` tokens). */
  whenApplied(log: number, index: number, done: (refusal: Refusal | undefined) => void, timeoutMs: number): void;

  /** Calls back once `copies` full members have `index` durable, or with COPIES_UNAVAILABLE. Leader only. */
  whenDurable(
    log: number,
    index: number,
    demand: CopyDemand,
    done: (refusal: Refusal | undefined) => void,
    timeoutMs: number,
  ): void;

  transfer(log: number, toBox: string | undefined): Promise<Refusal | undefined>;
  /** Answers once the declaration stands in the log; whoever leads then works towards it (see membershipReached). */
  proposeMembership(log: number, target: MembershipCall): Promise<Refusal | undefined>;
  /** True on a leader whose members are what `config.target` declares, and no change is under way. */
  membershipReached(log: number): boolean;
  /** Why they are not, one clause: what the next step waits for, or why it was given up. Empty when reached. */
  membershipWaits(log: number): string;
  /** Creates the first replicas of a log from its record (bootstrap, once: raft-and-witness.md). */
  bootstrap(call: BootstrapCall): Promise<Refusal | undefined>;
  /**
   * Goes on without the log's quorum from the copy of this very box (lost-quorum.ts); the same epoch again is the same
   * answer.
   */
  recover(call: RecoveryCall): Promise<RecoveryRecord | Refusal>;
  /** Removes the local replica and its data (zone destroyed, or this box was removed from the members). */
  remove(log: number): Promise<void>;
  /** True when something that is here but not yet applied may refer to the chunk. */
  mayRefer(address: Uint8Array): boolean;
  /** Stops proposals and hands leadership of every log over; resolves when done or the deadline passed. */
  drain(timeoutMs: number): Promise<void>;
  /** Takes proposals and leadership again. */
  undrain(): void;

  /** Observers. Each is called synchronously within the host's turn and must not throw. */
  onLeadership(listener: (log: number, view: GroupView) => void): void;
  onApplied(listener: (log: number, applied: AppliedBatch) => void): void;
  /** Waiting lock requests that were granted, or never will be; told on every replica, once the grant is in the store. */
  onLocks(listener: (log: number, events: readonly LockEvent[]) => void): void;
}

export type LockEvent = Extract<Effect, { kind: "lock-granted" | "wait-ended" }>;

export interface Proposal {
  /** The host stamps log_time_ms and encodes it. */
  command: Command;
  /** From now until the answer, whatever it is, ms. */
  timeoutMs: number;
  done: (outcome: Outcome) => void;
}
export type Outcome =
  | {
      kind: "applied";
      index: number;
      generation: number;
      reply: Reply;
      copies: number;
      boxes: string[];
      logTimeMs: number;
    }
  | { kind: "refused"; refusal: Refusal };

export interface CopyDemand {
  /** Full members that must have it durable; `all` = every full voter. */
  copies: number | "all";
}

export interface GroupView {
  log: number;
  generation: number;
  zone: string;
  isLeader: boolean;
  /** Box that leads, empty when unknown. */
  leaderBox: string;
  term: number;
  role: "leader" | "follower" | "candidate" | "learner";
  witnessMode: "" | "PAIR" | "SOLO";
  epoch: number;
  commit: number;
  applied: number;
  config: GroupConfig;
  /** Full members (not witnesses) with what the leader knows of them; only self is exact on a follower. */
  progress: MemberProgress[];
  logTimeMs: number;
  /** Durable data was lost or is corrupt: refuses to vote and serve until re-replicated. */
  needsReplication: boolean;
  /** Full members active within an election timeout, this one included (leader's view). */
  activeCopies: number;
}
export interface MemberProgress extends LogMember {
  match: number;
  state: "probe" | "replicate" | "snapshot" | "self" | "unknown";
  active: boolean;
}
export interface MembershipCall {
  revision: number;
  hash: string;
  members: DeclaredReplica[];
  expectedConfigIndex: number | undefined;
}
export interface BootstrapCall {
  log: number;
  zone: string;
  federationUid: string;
  generation: number;
  timing: string;
  members: LogMember[];
}
export interface RecoveryCall {
  log: number;
  /** Of the declaration: each is executed once. */
  epoch: number;
  /** Incarnations that are gone for good, 16 bytes each; of a witness: of its record in this log. */
  abandoned: readonly Uint8Array[];
  acceptDataLoss: boolean;
}
export interface AppliedBatch {
  /** Index of the last entry applied. */
  index: number;
  /** Number of feed events that the batch added. */
  events: number;
}
