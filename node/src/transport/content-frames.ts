import { BinaryReader } from "@bufbuild/protobuf/wire";
import { DownloadFrame, UploadFrame } from "@nexus-federation/proto/files.ts";
import { decodeMessage, encodeMessage } from "./wire-codec.ts";

// Frames of uploads and downloads are one field of bytes but for the first; the generated code copies them twice each way.

/** Tag of `data` in both frames: field 2, bytes. */
const dataTag = 0x12;
/** Tag and the longest length. */
const headBytesMax = 6;

export function encodeUploadFrame(frame: UploadFrame): Buffer {
  return frame.header === undefined ? encodeData(frame.data) : encodeMessage(UploadFrame, frame);
}
export function encodeDownloadFrame(frame: DownloadFrame): Buffer {
  return frame.head === undefined ? encodeData(frame.data) : encodeMessage(DownloadFrame, frame);
}
/** `data` is a view of the bytes. */
export function decodeUploadFrame(bytes: Buffer): UploadFrame {
  const data = dataOf(bytes);
  return data === undefined ? decodeMessage(UploadFrame, bytes) : { header: undefined, data };
}
/** `data` is a view of the bytes. */
export function decodeDownloadFrame(bytes: Buffer): DownloadFrame {
  const data = dataOf(bytes);
  return data === undefined ? decodeMessage(DownloadFrame, bytes) : { head: undefined, data };
}

function encodeData(data: Uint8Array): Buffer {
  if (data.length === 0) return Buffer.alloc(0);
  const out = Buffer.allocUnsafe(headBytesMax + data.length);
  out[0] = dataTag;
  let at = 1;
  for (let rest = data.length; ; rest >>>= 7) {
    if (rest < 0x80) {
      out[at++] = rest;
      break;
    }
    out[at++] = (rest & 0x7f) | 0x80;
  }
  out.set(data, at);
  return out.subarray(0, at + data.length);
}

/** Undefined when the message is anything but one `data`. */
function dataOf(bytes: Buffer): Buffer | undefined {
  if (bytes[0] !== dataTag) return undefined;
  const reader = new BinaryReader(bytes);
  reader.pos = 1;
  const data = reader.bytes();
  return reader.pos === reader.len ? Buffer.from(data.buffer, data.byteOffset, data.length) : undefined;
}
