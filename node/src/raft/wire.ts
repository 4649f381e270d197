import type { MessageType } from "./messages.ts";
import type { EntryType } from "./types.ts";

// Numbers for types on the wire and on disk. A number is never given to another type; new types go to the end.

const entryTypes: readonly EntryType[] = ["EntryNormal", "EntryConfChange", "EntryConfChangeV2", "EntryEpochChange"];

/** Only what travels between boxes: local messages have no number. */
const messageTypes: readonly MessageType[] = [
  "MsgProp",
  "MsgApp",
  "MsgAppResp",
  "MsgVote",
  "MsgVoteResp",
  "MsgSnap",
  "MsgHeartbeat",
  "MsgHeartbeatResp",
  "MsgTransferLeader",
  "MsgTimeoutNow",
  "MsgReadIndex",
  "MsgReadIndexResp",
  "MsgPreVote",
  "MsgPreVoteResp",
];

const entryNumbers = new Map(entryTypes.map((type, at) => [type, at]));
const messageNumbers = new Map(messageTypes.map((type, at) => [type, at + 1]));

export function entryTypeNumber(type: EntryType): number {
  return entryNumbers.get(type) as number;
}

/** Undefined for a number that this version does not know. */
export function entryTypeOf(number: number): EntryType | undefined {
  return entryTypes[number];
}

/** Undefined for messages that do not travel between boxes. */
export function messageTypeNumber(type: MessageType): number | undefined {
  return messageNumbers.get(type);
}

/** Undefined for a number that this version does not know. */
export function messageTypeOf(number: number): MessageType | undefined {
  return messageTypes[number - 1];
}
