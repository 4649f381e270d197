import { type Message, message } from "./messages.ts";
import type { Raft } from "./raft.ts";
import {
  type Entry,
  type HardState,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type ReadState,
  type Snapshot,
  type SoftState,
} from "./types.ts";

/**
 * What there is to do. Without asynchronous storage writes: make `hardState`, `entries` and `snapshot` durable, then send
 * `messages`, apply `committedEntries`, then call `advance`. With them the same work, its order and the messages that
 * depend on it travel as MsgStorageAppend and MsgStorageApply in `messages`, and the other fields are for information.
 */
export interface Ready {
  readonly softState: SoftState | undefined;
  /** Undefined when it did not change. */
  readonly hardState: HardState | undefined;
  readonly readStates: readonly ReadState[];
  readonly entries: readonly Entry[];
  readonly snapshot: Snapshot | undefined;
  readonly committedEntries: readonly Entry[];
  readonly messages: readonly Message[];
  /** Term, vote or entries changed: the write must be durable, not only ordered. */
  readonly mustSync: boolean;
}

/** True when entries are durable only after a write that is being asked for, or a snapshot was. */
export function needsAppendResponse(r: Raft, ready: Ready): boolean {
  return r.log.unstable.entries.length > 0 || ready.snapshot !== undefined;
}

/** The work of the append thread, with the messages it releases when done; undefined when there is none. */
export function storageAppend(r: Raft, ready: Ready): Message | undefined {
  const { entries, hardState, snapshot } = ready;
  const idle = entries.length === 0 && hardState === undefined && snapshot === undefined;
  if (idle && r.messagesAfterAppend.length === 0) return undefined;
  const work = message("MsgStorageAppend", LOCAL_APPEND_THREAD);
  work.from = r.id;
  work.entries = entries;
  if (hardState !== undefined) {
    work.term = hardState.term;
    work.vote = hardState.vote;
    work.commit = hardState.commit;
  }
  work.snapshot = snapshot;
  // Last, so that the leader handles its own acknowledgement while the entries are still in the unstable tail.
  work.responses = needsAppendResponse(r, ready)
    ? [...r.messagesAfterAppend, storageAppendResponse(r, ready)]
    : r.messagesAfterAppend;
  return work;
}

/**
 * Tells the core that all writes up to this one are done. It names the last entry of the whole unstable tail, and the
 * term: in a later term entries may have been replaced by others whose write is still under way (even by entries equal
 * to these, an ABA), so a response of an older term is not believed. The write of that later term carries the tail's
 * end again, even without entries of its own, so that the tail is dropped in the end.
 */
export function storageAppendResponse(r: Raft, ready: Ready): Message {
  const response = message("MsgStorageAppendResp", r.id);
  response.from = LOCAL_APPEND_THREAD;
  response.term = r.term;
  if (r.log.unstable.entries.length > 0) {
    const last = r.log.lastEntryId();
    response.index = last.index;
    response.logTerm = last.term;
  }
  response.snapshot = ready.snapshot;
  return response;
}

/** The work of the apply thread; committed entries belong to no term. */
export function storageApply(r: Raft, entries: readonly Entry[]): Message {
  const work = message("MsgStorageApply", LOCAL_APPLY_THREAD);
  work.from = r.id;
  work.entries = entries;
  work.responses = [storageApplyResponse(r, entries)];
  return work;
}

export function storageApplyResponse(r: Raft, entries: readonly Entry[]): Message {
  const response = message("MsgStorageApplyResp", r.id);
  response.from = LOCAL_APPLY_THREAD;
  response.entries = entries;
  return response;
}
