// What comes on stdin, whole.
import { UsageError } from "./durations.ts";

/** More than any declaration or batch needs; beyond it something else was meant, such as put. */
const inputBytesMax = 64 * 1024 * 1024;

/** Waits for the end of a pipe, however slow. A read that does not wait would fail while nothing has come yet. */
export async function readStdin(): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of process.stdin) {
    bytes += (part as Buffer).length;
    if (bytes > inputBytesMax) throw new UsageError(`stdin: at most ${inputBytesMax / 1024 ** 2} MiB are taken`);
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts);
}
