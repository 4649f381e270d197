// A client's uploads without gRPC: the frames of frame-socket.ts on a TLS connection to the client port that carries
// nothing else (docs/decisions/028). Proto UploadsFrame names the fields; one upload after the other, each greeted.

import { UploadHeader } from "@nexus-federation/proto/files.ts";
import { Response, SessionGreeting } from "@nexus-federation/proto/request.ts";
import { readable } from "../base/readable.ts";
import { batchFrame, readField } from "./frames.ts";
import { chunkBytesMax } from "./ports.ts";

/** ALPN name. */
export const uploadsProtocol = "nexus-uploads/1";
/** Largest frame once it is known who calls. */
export const uploadFrameBytesMax = chunkBytesMax + 1024;

const fields = { greeting: 1, header: 2, data: 3, end: 4, answer: 5 } as const;

export type UploadsFrame =
  | { kind: "greeting"; token: string }
  | { kind: "header"; header: UploadHeader }
  /** A view of the frame. */
  | { kind: "data"; data: Uint8Array }
  | { kind: "end" }
  | { kind: "answer"; response: Response };

export function uploadGreeting(token: string): Buffer {
  return framed(fields.greeting, SessionGreeting.encode({ token }).finish());
}
export function uploadHeader(header: UploadHeader): Buffer {
  return framed(fields.header, UploadHeader.encode(header).finish());
}
export function uploadData(data: Uint8Array): Buffer {
  return framed(fields.data, data);
}
export const uploadEnd = batchFrame(fields.end, [], 0);
export function uploadAnswer(response: Response): Buffer {
  return framed(fields.answer, Response.encode(response).finish());
}

/** Undefined when the frame is none, or cannot be read. */
export function readUploadFrame(frame: Buffer): UploadsFrame | undefined {
  const field = frame[0]! >> 3;
  const body = readField(frame, field);
  if (body === undefined) return undefined;
  switch (field) {
    case fields.greeting: {
      const greeting = readable(SessionGreeting, body);
      return greeting && { kind: "greeting", token: greeting.token };
    }
    case fields.header: {
      const header = readable(UploadHeader, body);
      return header && { kind: "header", header };
    }
    case fields.data:
      return { kind: "data", data: body };
    case fields.end:
      return { kind: "end" };
    case fields.answer: {
      const response = readable(Response, body);
      return response && { kind: "answer", response };
    }
    default:
      return undefined;
  }
}

function framed(field: number, body: Uint8Array): Buffer {
  return batchFrame(field, [body], body.length);
}
