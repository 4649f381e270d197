import type { Socket } from "node:net";
import { FrameReader } from "./frame-reader.ts";
import { readField } from "./frames.ts";

const frameBytesMax = 1 << 24;
const refusalField = 15;

/** What the other end of a frame socket said until it closed, or until so many answers had come. */
export interface Heard<Answer> {
  answers: Answer[];
  /** Its last word. */
  refusal: string;
}

/** Writes bytes as they are, fit or not, and hears. No answer wanted: this end says at once that it is done. */
export function say<Answer>(
  socket: Socket,
  parts: readonly Uint8Array[],
  {
    answersOf,
    wanted = Number.POSITIVE_INFINITY,
  }: { answersOf(frame: Buffer): readonly Answer[]; wanted?: number | undefined },
): Promise<Heard<Answer>> {
  const heard: Heard<Answer> = { answers: [], refusal: "" };
  const reader = new FrameReader(frameBytesMax, (frame) => {
    heard.answers.push(...answersOf(frame));
    heard.refusal += Buffer.from(readField(frame, refusalField) ?? []);
    if (heard.answers.length >= wanted) socket.destroy();
  });
  return new Promise((resolve) => {
    socket.on("data", (bytes: Buffer) => reader.push(bytes, () => false));
    socket.on("error", () => {});
    socket.on("close", () => resolve(heard));
    for (const part of parts) socket.write(part);
    if (wanted === 0) socket.end();
  });
}
