import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** How much of the end of a log file is read, and of a line is told, bytes. */
const readBytesMax = 8192;
const toldBytesMax = 500;

/** The last line after `from` that is neither a JSON record nor a stack's; empty when there is none. */
export function lastSentence(logFile: string, from: number): string {
  try {
    const file = openSync(logFile, "r");
    try {
      const { size } = fstatSync(file);
      const start = Math.max(from > size ? 0 : from, size - readBytesMax);
      const bytes = Buffer.alloc(Math.max(0, size - start));
      const text = bytes.toString("utf8", 0, readSync(file, bytes, 0, bytes.length, start));
      const lines = text.split("\n").filter((line) => line.trim() !== "" && !/^(\{|\s|Node\.js v)/.test(line));
      return (lines.at(-1) ?? "").trim().slice(0, toldBytesMax);
    } finally {
      closeSync(file);
    }
  } catch {
    // The log itself is what cannot be read: the exit code has to do.
    return "";
  }
}
