// Damage to the files of a box that is stopped.
import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";

/** Where the written part of a preallocated file ends. */
export function endOf(file: string): number {
  const bytes = readFileSync(file);
  let at = bytes.length;
  while (at > 0 && bytes[at - 1] === 0) at--;
  return at;
}

/** Turns one bit of the byte at `at`. */
export function flip(file: string, at: number): void {
  const handle = openSync(file, "r+");
  const byte = Buffer.alloc(1);
  readSync(handle, byte, 0, 1, at);
  byte[0] = byte[0]! ^ 0x10;
  writeSync(handle, byte, 0, 1, at);
  closeSync(handle);
}
