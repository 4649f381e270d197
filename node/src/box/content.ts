import type { Operation, WriteFile } from "@nexus-federation/proto/command.ts";
import { asBuffer, equalBytes } from "../base/bytes.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { sha256Id } from "../machine/chunks.ts";
import type { BoxLimits } from "./limits.ts";
import type { Hashing } from "./ports.ts";

/** Whether the bytes are those that the address names. */
export function chunkIsSound(hashing: Hashing, address: Uint8Array, chunk: Uint8Array): boolean {
  return address[0] === sha256Id && equalBytes(address.subarray(1), hashing.sha256(chunk));
}

/** Bytes of content that an operation carries. */
export function contentBytes(operation: Operation): number {
  const op = operation.op;
  if (op?.$case === "write") return op.value.content.length;
  if (op?.$case !== "batch") return 0;
  let bytes = 0;
  for (const one of op.value.operations) bytes += contentBytes(one);
  return bytes;
}

/**
 * The operation with the etag of every inline write, as the state machine wants it. A client names no chunks (uploads
 * do) and, if it names an etag, the right one.
 */
export function withEtags(operation: Operation, hashing: Hashing, limits: BoxLimits): Operation | Refusal {
  const op = operation.op;
  if (op?.$case === "write") {
    const write = sealed(op.value, hashing, limits);
    return isRefusal(write) ? write : { op: { $case: "write", value: write } };
  }
  if (op?.$case !== "batch") return operation;
  const operations: Operation[] = [];
  for (const one of op.value.operations) {
    const sealedOne = withEtags(one, hashing, limits);
    if (isRefusal(sealedOne)) return sealedOne;
    operations.push(sealedOne);
  }
  return { op: { $case: "batch", value: { operations } } };
}

function sealed(write: WriteFile, hashing: Hashing, limits: BoxLimits): WriteFile | Refusal {
  if (write.chunks.length > 0) return refuse("INVALID", "chunks are named by the box; send the content, or an upload");
  if (write.content.length > limits.inlineBytesMax) {
    return refuse(
      "TOO_LARGE",
      `a file in a batch has at most ${limits.inlineBytesMax} bytes; ${write.content.length} came: write it by itself`,
    );
  }
  const etag = hashing.sha256(write.content);
  if (write.etag.length > 0 && !equalBytes(write.etag, etag)) {
    return refuse("INVALID", "etag is the sha-256 of the content; another came");
  }
  return { ...write, etag: asBuffer(etag), size: write.content.length, uploadIndex: 0 };
}
