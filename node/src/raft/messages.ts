import { noBytes } from "../base/bytes.ts";
import { type Entry, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, NONE, type Snapshot } from "./types.ts";

export type MessageType =
  | "MsgHup"
  | "MsgBeat"
  | "MsgProp"
  | "MsgApp"
  | "MsgAppResp"
  | "MsgVote"
  | "MsgVoteResp"
  | "MsgSnap"
  | "MsgHeartbeat"
  | "MsgHeartbeatResp"
  | "MsgCommit"
  | "MsgUnreachable"
  | "MsgSnapStatus"
  | "MsgCheckQuorum"
  | "MsgTransferLeader"
  | "MsgTimeoutNow"
  | "MsgReadIndex"
  | "MsgReadIndexResp"
  | "MsgPreVote"
  | "MsgPreVoteResp"
  | "MsgStorageAppend"
  | "MsgStorageAppendResp"
  | "MsgStorageApply"
  | "MsgStorageApplyResp"
  | "MsgForgetLeader"
  | "MsgWitnessVote"
  | "MsgWitnessVoteResp"
  | "MsgWitnessEngage"
  | "MsgWitnessEngageResp"
  | "MsgWitnessPing"
  | "MsgWitnessPingResp";

export const NO_ENTRIES: readonly Entry[] = [];
const NO_MESSAGES: readonly Message[] = [];

/**
 * Every message has every field, so that all of them share one shape. A field a type does not use is 0, empty or
 * undefined. A message is never changed after it was sent or stepped.
 */
export interface Message {
  type: MessageType;
  to: number;
  from: number;
  term: number;
  /** Term of the entry at `index`; for the witness types the term of the sender's last entry. */
  logTerm: number;
  /** MsgApp: the entry before `entries`. Acknowledgements: the last entry acknowledged, or the one rejected.
   * Answers of a witness: the term of the request. */
  index: number;
  commit: number;
  /** MsgStorageAppend alone: with `term` and `commit` the hard state to write, or all three 0. */
  vote: number;
  /** Witness types: the epoch asked about or acknowledged; MsgWitnessVote: epoch of the last entry. */
  epoch: number;
  entries: readonly Entry[];
  snapshot: Snapshot | undefined;
  reject: boolean;
  rejectHint: number;
  /** MsgWitnessVote alone: a PreVote, which changes nothing at the witness. */
  pre: boolean;
  context: Uint8Array;
  /** Messages to deliver once the storage work of this one is done. */
  responses: readonly Message[];
}

export function message(type: MessageType, to: number): Message {
  return {
    type,
    to,
    from: NONE,
    term: 0,
    logTerm: 0,
    index: 0,
    commit: 0,
    vote: NONE,
    epoch: 0,
    entries: NO_ENTRIES,
    snapshot: undefined,
    reject: false,
    rejectHint: 0,
    pre: false,
    context: noBytes,
    responses: NO_MESSAGES,
  };
}

/** A message a node sends to itself: a timeout, a request of the application, a report of the transport. */
export function localMessage(type: MessageType, from: number): Message {
  const local = message(type, NONE);
  local.from = from;
  return local;
}

/** Answers of a witness: their term is the witness's own, and lower ones count too. */
export function isWitnessResponse(type: MessageType): boolean {
  return type === "MsgWitnessVoteResp" || type === "MsgWitnessEngageResp" || type === "MsgWitnessPingResp";
}

/** True for types that never travel between boxes. */
export function isLocalMessage(type: MessageType): boolean {
  switch (type) {
    case "MsgHup":
    case "MsgBeat":
    case "MsgUnreachable":
    case "MsgSnapStatus":
    case "MsgCheckQuorum":
    case "MsgStorageAppend":
    case "MsgStorageAppendResp":
    case "MsgStorageApply":
    case "MsgStorageApplyResp":
      return true;
    default:
      return false;
  }
}

/** True for types that count only when they come from a replica of the configuration. */
export function isResponseMessage(type: MessageType): boolean {
  switch (type) {
    case "MsgAppResp":
    case "MsgVoteResp":
    case "MsgHeartbeatResp":
    case "MsgUnreachable":
    case "MsgReadIndexResp":
    case "MsgPreVoteResp":
    case "MsgStorageAppendResp":
    case "MsgStorageApplyResp":
    case "MsgWitnessVoteResp":
    case "MsgWitnessEngageResp":
    case "MsgWitnessPingResp":
      return true;
    default:
      return false;
  }
}

export function isLocalTarget(id: number): boolean {
  return id === LOCAL_APPEND_THREAD || id === LOCAL_APPLY_THREAD;
}
