// The one shape of all message streams: a gRPC message is a proto message with the handshake in field 1 and the batch in
// a field of its own (peer.proto: PeerFrame, ForwardFrame, ForwardReplyFrame, WitnessFrame). Only these two tags are
// written and read here by hand, so that batches pass as bytes.

import { Handshake } from "@nexus-federation/proto/peer.ts";
import { readable } from "../base/readable.ts";
import type { Service } from "./ports.ts";
import { varintBytes } from "./wire-codec.ts";

/** Field that carries the batch, by service and direction. */
export const batchFields: Record<Service, { request: number; reply: number }> = {
  raft: { request: 2, reply: 2 },
  forward: { request: 2, reply: 2 },
  witness: { request: 2, reply: 3 },
};

const handshakeTag = (1 << 3) | 2;

export function handshakeFrame(handshake: Handshake): Buffer {
  const body = Handshake.encode(handshake).finish();
  const head = fieldHead(handshakeTag, body.length);
  return Buffer.concat([head, body]);
}

/** Undefined when the frame is anything but one handshake. */
export function readHandshake(frame: Uint8Array): Handshake | undefined {
  const body = readField(frame, 1);
  return body && readable(Handshake, body);
}

/** One frame whose batch is the messages one after the other (`bytes` is their length together). */
export function batchFrame(field: number, messages: readonly Uint8Array[], bytes: number): Buffer {
  const headBytes = 1 + varintBytes(bytes);
  const frame = Buffer.allocUnsafe(headBytes + bytes);
  let offset = writeHead(frame, (field << 3) | 2, bytes);
  for (const message of messages) {
    frame.set(message, offset);
    offset += message.length;
  }
  return frame;
}

/** A view of the batch; undefined when the frame is anything but that one field, whole. */
export function readField(frame: Uint8Array, field: number): Uint8Array | undefined {
  if (frame[0] !== ((field << 3) | 2)) return undefined;
  let length = 0;
  let offset = 1;
  for (let shift = 0; ; shift += 7) {
    const byte = frame[offset++];
    if (byte === undefined || shift > 28) return undefined;
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  return offset + length === frame.length ? frame.subarray(offset) : undefined;
}

function fieldHead(tag: number, length: number): Buffer {
  const head = Buffer.allocUnsafe(1 + varintBytes(length));
  writeHead(head, tag, length);
  return head;
}

function writeHead(frame: Buffer, tag: number, length: number): number {
  frame[0] = tag;
  let offset = 1;
  let left = length;
  for (; left >= 0x80; left = Math.floor(left / 128)) frame[offset++] = (left % 128) | 0x80;
  frame[offset++] = left;
  return offset;
}
