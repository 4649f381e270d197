import { noBytes } from "../base/bytes.ts";

/** Id that stands for "nobody": no leader, no vote, no addressee. Replica ids start at 1. */
export const NONE = 0;
/** Addressee of MsgStorageAppend: the local writer of log, hard state and snapshots. */
export const LOCAL_APPEND_THREAD = Number.MAX_SAFE_INTEGER;
/** Addressee of MsgStorageApply: the local applier of committed entries. */
export const LOCAL_APPLY_THREAD = Number.MAX_SAFE_INTEGER - 1;
/** A size limit that never bites. */
export const NO_LIMIT = Number.MAX_SAFE_INTEGER;

/**
 * EntryConfChange and EntryConfChangeV2 carry the bytes of `confchange/codec.ts`; EntryEpochChange is the empty entry
 * with which a leader of a witness group starts a new epoch.
 */
export type EntryType = (typeof entryTypes)[number];
/** Invariant: the places are the numbers in stored logs and in messages; new types come at the end. */
export const entryTypes = ["EntryNormal", "EntryConfChange", "EntryConfChangeV2", "EntryEpochChange"] as const;

/** One log record. Immutable once appended: entries are shared by the log, messages and the state machine. */
export interface Entry {
  readonly index: number;
  readonly term: number;
  /** Witness epoch within the term (raft-and-witness.md); 0 in groups without a witness. */
  readonly epoch: number;
  readonly type: EntryType;
  readonly data: Uint8Array;
}

export interface EntryId {
  readonly term: number;
  readonly index: number;
}

/** What must be durable before any message that depends on it leaves. */
export interface HardState {
  readonly term: number;
  /** Replica voted for in `term`, or NONE. */
  readonly vote: number;
  readonly commit: number;
}

export type StateType = "StateFollower" | "StatePreCandidate" | "StateCandidate" | "StateLeader";

/** Volatile state, for routing and logging. */
export interface SoftState {
  readonly lead: number;
  readonly state: StateType;
}

export interface ConfState {
  /** Incoming voters, witnesses among them, ascending. */
  readonly voters: readonly number[];
  readonly learners: readonly number[];
  /** Outgoing voters; empty unless the configuration is joint. */
  readonly votersOutgoing: readonly number[];
  /** Voters of the outgoing half that become learners when it is left. */
  readonly learnersNext: readonly number[];
  /** The joint configuration is left by the leader itself as soon as that is safe. */
  readonly autoLeave: boolean;
  /** Voters of either half that hold votes and engagements, but no log. */
  readonly witnesses: readonly number[];
}

export const EMPTY_CONF_STATE: ConfState = {
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
  witnesses: [],
};

/** A snapshot with index 0 is no snapshot. `index`, `term` and `epoch` are those of the last entry it covers. */
export interface Snapshot {
  readonly index: number;
  readonly term: number;
  readonly epoch: number;
  readonly confState: ConfState;
  readonly data: Uint8Array;
}

export const EMPTY_SNAPSHOT: Snapshot = {
  index: 0,
  term: 0,
  epoch: 0,
  confState: EMPTY_CONF_STATE,
  data: noBytes,
};

export type ConfChangeTransition =
  | "ConfChangeTransitionAuto"
  | "ConfChangeTransitionJointImplicit"
  | "ConfChangeTransitionJointExplicit";

export type ConfChangeType =
  | "ConfChangeAddNode"
  | "ConfChangeRemoveNode"
  | "ConfChangeUpdateNode"
  | "ConfChangeAddLearnerNode"
  | "ConfChangeAddWitness";

export interface ConfChangeSingle {
  readonly type: ConfChangeType;
  /** 0 makes the change a no-op. */
  readonly nodeId: number;
}

/** A configuration change; one without changes and with the Auto transition leaves a joint configuration. */
export interface ConfChange {
  readonly transition: ConfChangeTransition;
  readonly changes: readonly ConfChangeSingle[];
  /** Opaque to Raft; handed to the state machine with the entry. */
  readonly context: Uint8Array;
}

export interface ReadState {
  /** The read may be answered once this index is applied. */
  readonly index: number;
  /** What the caller of readIndex handed in. */
  readonly context: Uint8Array;
}

/** Expected refusals of a step or proposal; texts in `describe.ts`. */
export type Refusal = "ProposalDropped" | "ReadDropped" | "StepLocalMessage" | "StepPeerNotFound";

/** Receives one line of text; a level that is absent costs nothing, its text is never built. */
export interface Logger {
  debug?: (text: string) => void;
  info?: (text: string) => void;
  warning?: (text: string) => void;
  error?: (text: string) => void;
}

export function isEmptyHardState(state: HardState | undefined): boolean {
  return state === undefined || (state.term === 0 && state.vote === NONE && state.commit === 0);
}
