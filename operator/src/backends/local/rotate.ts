import { copyFileSync, existsSync, statSync, truncateSync } from "node:fs";

/** A log file is cut when it is larger than this; the part before stands in NAME.log.1. */
const logBytesMax = 16 * 1024 * 1024;

/** Copies and empties the file in place: its writers append, so they need not know. Lines written meanwhile may be lost. */
export function rotate(logFile: string, bytesMax = logBytesMax): void {
  if (!existsSync(logFile) || statSync(logFile).size <= bytesMax) return;
  copyFileSync(logFile, `${logFile}.1`);
  truncateSync(logFile, 0);
}
