// Every key of the machine's state. Keys are binary strings (store.ts); numbers are ordered (a length byte, then big
// endian), text is UTF-8. The first character is the table.
//
//   c  counters                       d{directory}{name}      directory entry, small content behind it
//   o  ownership                      f{file}                 other inline content
//   p  policy                         k{file}                 list of chunks
//                                     x{address}              references to a chunk
//   l{path}            lock           y{address}, z{sequence} dropped chunks, by address and in order
//   e{index}           journal: an entry's first event, and its request's answer if that is remembered
//   g{index}{ordinal}  journal: its further events
//   q{index}           journal: the answer of an entry without events
//   b{index}           journal: a full block that begins at this index
//   s…                 system zone (s{b|t|l|z|d|m|p|u|v}…)
import { textOf, utf8 } from "../base/bytes.ts";
import type { StateKey } from "./store.ts";

export const countersKey: StateKey = "c";
export const ownershipKey: StateKey = "o";
export const policyKey: StateKey = "p";

/** Start of the keys of a directory's entries; the name follows. */
export function directoryPrefix(directory: number): StateKey {
  return `d${ordered(directory)}`;
}
export const contentKey = (file: number): StateKey => `f${ordered(file)}`;
export const chunkListKey = (file: number): StateKey => `k${ordered(file)}`;

export const eventPrefix: StateKey = "e";
export const eventKey = (index: number): StateKey => `e${ordered(index)}`;
export const moreEventsKey = (index: number, ordinal: number): StateKey => `g${ordered(index)}${ordered(ordinal)}`;
export const answerRowKey = (index: number): StateKey => `q${ordered(index)}`;
export const blockPrefix: StateKey = "b";
export const blockKey = (first: number): StateKey => `b${ordered(first)}`;
/** Of any key of the journal. */
export const indexOfJournalKey = (key: StateKey): number => readOrdered(key, 1).value;
export function ordinalOfMoreEventsKey(key: StateKey): number {
  return readOrdered(key, readOrdered(key, 1).next).value;
}

export const lockPrefix: StateKey = "l";
export const lockKey = (path: string): StateKey => `l${binaryText(path)}`;
export const pathOfLockKey = (key: StateKey): string => textOfBinary(key.slice(1));

export const chunkPrefix: StateKey = "x";
export const chunkKey = (address: Uint8Array): StateKey => `x${binaryBytes(address)}`;
export const addressOfChunkKey = (key: StateKey): Uint8Array => bytesOfBinary(key.slice(1));
export const droppedKey = (address: Uint8Array): StateKey => `y${binaryBytes(address)}`;
export const droppedOrderKey = (sequence: number): StateKey => `z${ordered(sequence)}`;

export const boxPrefix: StateKey = "sb";
export const boxKey = (name: string): StateKey => `sb${binaryText(name)}`;
export const tombstoneKey = (incarnation: Uint8Array): StateKey => `st${binaryBytes(incarnation)}`;
export const logPrefix: StateKey = "sl";
export const logKey = (log: number): StateKey => `sl${ordered(log)}`;
export const zoneKey = (zone: string): StateKey => `sz${binaryText(zone)}`;
export const disruptionKey: StateKey = "sd";
export const ruleMapKey: StateKey = "sm";
export const pendingMapKey: StateKey = "sp";
/** Why the pending map is being given back. */
export const returningKey: StateKey = "sr";
/** Largest epoch a map that was given back ever had. */
export const spentEpochKey: StateKey = "se";
export const federationKey: StateKey = "su";
export const revisionKey: StateKey = "sv";

/** The first key after all that start with `prefix`, whose last character is below 255. */
export function after(prefix: StateKey): StateKey {
  const last = prefix.charCodeAt(prefix.length - 1);
  if (last < 255) return prefix.slice(0, -1) + String.fromCharCode(last + 1);
  return after(prefix.slice(0, -1));
}

/** Sorts as the number does. */
function ordered(value: number): string {
  let digits = "";
  let count = 0;
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) {
    digits = String.fromCharCode(rest % 256) + digits;
    count++;
  }
  return String.fromCharCode(count) + digits;
}

function readOrdered(key: StateKey, at: number): { value: number; next: number } {
  const count = key.charCodeAt(at);
  let value = 0;
  for (let i = 1; i <= count; i++) value = value * 256 + key.charCodeAt(at + i);
  return { value, next: at + 1 + count };
}

/** UTF-8 of `text` as a binary string; ASCII, which is nearly all, is itself. */
export function binaryText(text: string): string {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return binaryBytes(utf8(text));
  return text;
}

export function textOfBinary(binary: string): string {
  for (let i = 0; i < binary.length; i++) {
    if (binary.charCodeAt(i) >= 0x80) return textOf(bytesOfBinary(binary));
  }
  return binary;
}

export function binaryBytes(bytes: Uint8Array): string {
  let out = "";
  for (let i = 0; i < bytes.length; i++) out += String.fromCharCode(bytes[i]!);
  return out;
}

export function bytesOfBinary(binary: string): Uint8Array {
  const out = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) out[i] = binary.charCodeAt(i);
  return out;
}
