import { noBytes } from "../../base/bytes.ts";
import type { ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType } from "../types.ts";

// Version 1 of a configuration change in an entry: version, transition, count, {type, node id} per change, each an
// unsigned LEB128 number, then the context to the end. No bytes at all are the change that leaves a joint configuration.

const VERSION = 1;
const CHANGES_MAX = 64;
const transitions: readonly ConfChangeTransition[] = [
  "ConfChangeTransitionAuto",
  "ConfChangeTransitionJointImplicit",
  "ConfChangeTransitionJointExplicit",
];
const types: readonly ConfChangeType[] = [
  "ConfChangeAddNode",
  "ConfChangeRemoveNode",
  "ConfChangeUpdateNode",
  "ConfChangeAddLearnerNode",
  "ConfChangeAddWitness",
];

/** The change that leaves a joint configuration. */
export const LEAVE_JOINT: ConfChange = { transition: "ConfChangeTransitionAuto", changes: [], context: noBytes };

export function encodeConfChange(change: ConfChange): Uint8Array {
  if (change === LEAVE_JOINT) return noBytes;
  const out: number[] = [];
  putNumber(out, VERSION);
  putNumber(out, transitions.indexOf(change.transition));
  putNumber(out, change.changes.length);
  for (const { type, nodeId } of change.changes) {
    putNumber(out, types.indexOf(type));
    putNumber(out, nodeId);
  }
  const bytes = new Uint8Array(out.length + change.context.length);
  bytes.set(out);
  bytes.set(change.context, out.length);
  return bytes;
}

/** Undefined when the bytes are not a configuration change this version knows. */
export function decodeConfChange(bytes: Uint8Array): ConfChange | undefined {
  if (bytes.length === 0) return LEAVE_JOINT;
  const reader = { bytes, at: 0 };
  if (takeNumber(reader) !== VERSION) return undefined;
  const transition = transitions[takeNumber(reader)];
  const count = takeNumber(reader);
  if (transition === undefined || count < 0 || count > CHANGES_MAX) return undefined;
  const changes: ConfChangeSingle[] = [];
  for (let i = 0; i < count; i++) {
    const type = types[takeNumber(reader)];
    const nodeId = takeNumber(reader);
    if (type === undefined || nodeId < 0) return undefined;
    changes.push({ type, nodeId });
  }
  return { transition, changes, context: bytes.subarray(reader.at) };
}

function putNumber(out: number[], value: number): void {
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out.push((rest % 0x80) | 0x80);
  out.push(rest);
}

/** The next number, or -1 when there is none or it is not a safe integer. */
function takeNumber(reader: { readonly bytes: Uint8Array; at: number }): number {
  let value = 0;
  for (let scale = 1; scale <= 2 ** 49; scale *= 0x80) {
    const byte = reader.bytes[reader.at++];
    if (byte === undefined) return -1;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return Number.isSafeInteger(value) ? value : -1;
  }
  return -1;
}
