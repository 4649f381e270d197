import { decodeConfChange } from "./confchange/codec.ts";
import { changesText } from "./confchange/parse.ts";
import type { Message } from "./messages.ts";
import type { Ready } from "./ready.ts";
import {
  type ConfChange,
  type ConfState,
  type Entry,
  type HardState,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  NONE,
  type Refusal,
  type Snapshot,
  type SoftState,
} from "./types.ts";

// Texts for logs and transcripts, in the format of etcd-io/raft, so that its expectations can be held against us.

export const refusalTexts: Record<Refusal, string> = {
  ProposalDropped: "raft proposal dropped",
  ReadDropped: "raft read dropped",
  StepLocalMessage: "raft: cannot step raft local message",
  StepPeerNotFound: "raft: cannot step as peer not found",
};

/** Ids are printed in hexadecimal. */
export function hex(id: number): string {
  return id.toString(16);
}

function describeHardState({ term, vote, commit }: HardState): string {
  return `Term:${term}${vote === NONE ? "" : ` Vote:${vote}`} Commit:${commit}`;
}

function describeSoftState({ lead, state }: SoftState): string {
  return `Lead:${lead} State:${state}`;
}

function describeConfState(state: ConfState): string {
  const list = (ids: readonly number[]): string => `[${ids.join(" ")}]`;
  const witnesses = state.witnesses.length === 0 ? "" : ` Witnesses:${list(state.witnesses)}`;
  return (
    `Voters:${list(state.voters)} VotersOutgoing:${list(state.votersOutgoing)} Learners:${list(state.learners)} ` +
    `LearnersNext:${list(state.learnersNext)} AutoLeave:${state.autoLeave}${witnesses}`
  );
}

function describeSnapshot({ index, term, epoch, confState }: Snapshot): string {
  const epochText = epoch === 0 ? "" : ` Epoch:${epoch}`;
  return `Index:${index} Term:${term}${epochText} ConfState:${describeConfState(confState)}`;
}

export function describeConfChange({ transition, changes, context }: ConfChange): string {
  const parts = changes.map(({ type, nodeId }) => ` changes:{type:${type} node_id:${nodeId}}`);
  return `transition:${transition}${parts.join("")}${context.length === 0 ? "" : ` context:${quoted(context)}`}`;
}

function describeEntry(entry: Entry): string {
  const epoch = entry.epoch === 0 ? "" : `.${entry.epoch}`;
  const text = entryText(entry);
  return `${entry.term}${epoch}/${entry.index} ${entry.type}${text === "" ? "" : ` ${text}`}`;
}

export function describeEntries(entries: readonly Entry[]): string {
  return entries.map((entry) => `${describeEntry(entry)}\n`).join("");
}

export function describeMessage(message: Message, indent = ""): string {
  const { from, to, type, term, logTerm, index, entries, snapshot, responses } = message;
  let text = `${indent}${targetText(from)}->${targetText(to)} ${type} Term:${term} Log:${logTerm}/${index}`;
  if (message.pre) text += " Pre";
  if (message.epoch !== 0) text += ` Epoch:${message.epoch}`;
  if (message.reject) text += ` Rejected (Hint: ${message.rejectHint})`;
  if (message.commit !== 0) text += ` Commit:${message.commit}`;
  if (message.vote !== NONE) text += ` Vote:${message.vote}`;
  const [first] = entries;
  if (first !== undefined && entries.length === 1) {
    text += ` Entries:[${describeEntry(first)}]`;
  } else if (entries.length > 1) {
    text += ` Entries:[${entries.map((entry) => `\n${indent}  ${describeEntry(entry)}`).join("")}\n${indent}]`;
  }
  if (snapshot !== undefined && snapshot.index !== 0) text += `\n${indent}  Snapshot: ${describeSnapshot(snapshot)}`;
  if (responses.length > 0) {
    const lines = responses.map((response) => `\n${describeMessage(response, `${indent}  `)}`);
    text += ` Responses:[${lines.join("")}\n${indent}]`;
  }
  return text;
}

export function describeReady(ready: Ready): string {
  let text = "";
  if (ready.softState !== undefined) text += `${describeSoftState(ready.softState)}\n`;
  if (ready.hardState !== undefined) text += `HardState ${describeHardState(ready.hardState)}\n`;
  if (ready.readStates.length > 0) {
    const states = ready.readStates.map(({ index, context }) => `{${index} [${context.join(" ")}]}`);
    text += `ReadStates [${states.join(" ")}]\n`;
  }
  if (ready.entries.length > 0) text += `Entries:\n${describeEntries(ready.entries)}`;
  if (ready.snapshot !== undefined) text += `Snapshot ${describeSnapshot(ready.snapshot)}\n`;
  if (ready.committedEntries.length > 0) text += `CommittedEntries:\n${describeEntries(ready.committedEntries)}`;
  if (ready.messages.length > 0) {
    text += `Messages:\n${ready.messages.map((message) => `${describeMessage(message)}\n`).join("")}`;
  }
  return text === "" ? "<empty Ready>" : `Ready MustSync=${ready.mustSync}:\n${text}`;
}

function targetText(id: number): string {
  switch (id) {
    case NONE:
      return "None";
    case LOCAL_APPEND_THREAD:
      return "AppendThread";
    case LOCAL_APPLY_THREAD:
      return "ApplyThread";
    default:
      return hex(id);
  }
}

function entryText(entry: Entry): string {
  switch (entry.type) {
    case "EntryNormal":
      return quoted(entry.data);
    case "EntryEpochChange":
      return "";
    case "EntryConfChange":
    case "EntryConfChangeV2": {
      const change = decodeConfChange(entry.data);
      return change === undefined ? "<unknown configuration change>" : changesText(change.changes);
    }
  }
}

const escapes: ReadonlyMap<number, string> = new Map([
  [0x07, "\\a"],
  [0x08, "\\b"],
  [0x09, "\\t"],
  [0x0a, "\\n"],
  [0x0b, "\\v"],
  [0x0c, "\\f"],
  [0x0d, "\\r"],
  [0x22, '\\"'],
  [0x5c, "\\\\"],
]);

/** Bytes in double quotes; whatever is not printable ASCII is escaped. */
function quoted(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const printable = byte >= 0x20 && byte < 0x7f;
    const plain = printable ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
    text += escapes.get(byte) ?? plain;
  }
  return `"${text}"`;
}
