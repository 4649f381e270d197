// Key layout of the box database. Keys are binary strings (machine/store.ts); integers big-endian, so that they sort.
//
//   00 name                                   about the box: "format", "identity"
//   01 log(8) generation(4)                   slot(4) that is live
//   02 log(8) generation(4) slot(4)           applied index(8), then what the host keeps with it
//   03 log(8) generation(4) slot(4) key       state of that log
//
// A received snapshot fills another slot beside the live one; the pointer at 01 then makes it live in one write.

import { assert } from "../base/assert.ts";
import type { StateKey } from "../machine/store.ts";

/** Raised when older code could not read what newer code writes, or newer what older wrote. */
export const boxFormatVersion = 2;

export const formatKey: StateKey = "\x00format";
export const identityKey: StateKey = "\x00identity";

/** One state of one log: a log, its generation, and which of the states beside each other. */
export interface StateId {
  log: number;
  generation: number;
  slot: number;
}

export const pointerSpace = { from: "\x01", to: "\x02" };
export const positionSpace = { from: "\x02", to: "\x03" };
export const stateSpace = { from: "\x03", to: "\x04" };

export function pointerKey(log: number, generation: number): StateKey {
  return `\x01${u64(log)}${u32(generation)}`;
}
export function positionKey(id: StateId): StateKey {
  return `\x02${idKey(id)}`;
}
/** Prefix of all keys of a state. */
export function statePrefix(id: StateId): StateKey {
  return `\x03${idKey(id)}`;
}

/** Prefix of the keys of all slots of a log, in position space (02) or state space (03). */
export function logPrefix(space: "\x02" | "\x03", log: number, generation: number): StateKey {
  return space + u64(log) + u32(generation);
}

function idKey(id: StateId): StateKey {
  return u64(id.log) + u32(id.generation) + u32(id.slot);
}

/** Inverse of pointerKey. */
export function parsePointerKey(key: StateKey): { log: number; generation: number } {
  assert(key.length === 13, "a pointer key has 13 bytes");
  return { log: readU64(key, 1), generation: readU32(key, 9) };
}

/** The state that a key of position or state space belongs to. */
export function parseStateId(key: StateKey): StateId {
  assert(key.length >= 17, "a state key has a prefix of 17 bytes");
  return { log: readU64(key, 1), generation: readU32(key, 9), slot: readU32(key, 13) };
}

/** The first key after all that start with `prefix`. */
export function afterPrefix(prefix: StateKey): StateKey {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const byte = prefix.charCodeAt(i);
    if (byte < 255) return prefix.slice(0, i) + String.fromCharCode(byte + 1);
  }
  return "";
}

export function u32(value: number): StateKey {
  return String.fromCharCode((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}
export function u64(value: number): StateKey {
  return u32(Math.floor(value / 0x1_0000_0000)) + u32(value % 0x1_0000_0000);
}
function readU32(key: StateKey, at: number): number {
  let value = 0;
  for (let i = at; i < at + 4; i++) value = value * 256 + key.charCodeAt(i);
  return value;
}
function readU64(key: StateKey, at: number): number {
  return readU32(key, at) * 0x1_0000_0000 + readU32(key, at + 4);
}
