// A client's stream of requests without gRPC: the frames of frame-socket.ts on a TLS connection to the client port
// (docs/decisions/024). The client's first frame says who it is, batches follow; proto SessionFrame names the fields.

import type { BinaryWriter } from "@bufbuild/protobuf/wire";
import { RequestFrame, ResponseFrame, SessionGreeting } from "@nexus-federation/proto/request.ts";
import { readable } from "../base/readable.ts";
import { batchFrame, readField } from "./frames.ts";
import { decodeMessage, encodeMessage } from "./wire-codec.ts";

/** ALPN name. */
export const sessionProtocol = "nexus-files/1";

const greetingField = 1;
const requestsField = 2;
const responsesField = 3;

export function greetingFrame(token: string): Buffer {
  const body = SessionGreeting.encode({ token }).finish();
  return batchFrame(greetingField, [body], body.length);
}

/** Undefined when the frame is anything but a greeting. */
export function readGreeting(frame: Uint8Array): SessionGreeting | undefined {
  const body = readField(frame, greetingField);
  return body && readable(SessionGreeting, body);
}

/** `requests`: an encoded RequestFrame. */
export function requestsFrame(requests: Uint8Array): Buffer {
  return batchFrame(requestsField, [requests], requests.length);
}

/** Undefined when the frame is none. Throws on a batch that is no RequestFrame. */
export function readRequests(frame: Uint8Array): RequestFrame | undefined {
  const body = readField(frame, requestsField);
  return body && decodeMessage(RequestFrame, body);
}

const framedResponses = {
  encode: (frame: ResponseFrame, writer: BinaryWriter): BinaryWriter =>
    ResponseFrame.encode(frame, writer.uint32((responsesField << 3) | 2).fork()).join(),
};

export function responsesFrame(frame: ResponseFrame): Buffer {
  return encodeMessage(framedResponses, frame);
}

/** Undefined when the frame is none. Throws on a batch that is no ResponseFrame. */
export function readResponses(frame: Uint8Array): ResponseFrame | undefined {
  const body = readField(frame, responsesField);
  return body && decodeMessage(ResponseFrame, body);
}
