// Builds the operations that writes and batches are made of.
import type { Operation, Precondition } from "@nexus-federation/proto/command.ts";
import { noBytes } from "../base/bytes.ts";
import { NexusError } from "../base/errors.ts";
import { parseFence } from "../base/fence.ts";
import { defaultLimits } from "../machine/limits.ts";
import { text, texts } from "./checks.ts";
import type { PutOptions, WriteOptions } from "./types.ts";

/** Content up to this travels in the log entry; larger content in chunks. */
export const inlineBytesMax = defaultLimits.inlineBytesMax;

export interface MetadataChange {
  set?: Record<string, string>;
  remove?: string[];
  contentType?: string;
}

export function write(path: string, content: Uint8Array, options: PutOptions = {}): Operation {
  const value = {
    path: text("path", path),
    content: content as Buffer,
    chunks: [],
    size: content.length,
    etag: noBytes as Buffer,
    contentType: text("contentType", options.contentType ?? ""),
    metadata: texts(options.metadata ?? {}),
    condition: condition(options),
    uploadIndex: 0,
  };
  return { op: { $case: "write", value } };
}

export function remove(path: string, options: WriteOptions & { recursive?: boolean } = {}): Operation {
  return {
    op: {
      $case: "delete",
      value: { path: text("path", path), recursive: options.recursive ?? false, condition: condition(options) },
    },
  };
}

export function mkdir(path: string, options: { parents?: boolean } = {}): Operation {
  return { op: { $case: "mkdir", value: { path: text("path", path), parents: options.parents ?? false } } };
}

export function rename(
  paths: { from: string; to: string },
  options: WriteOptions & { replace?: boolean } = {},
): Operation {
  return {
    op: {
      $case: "rename",
      value: { ...checked(paths), condition: condition(options), replace: options.replace ?? false },
    },
  };
}

export function copy(
  paths: { from: string; to: string },
  options: WriteOptions & { replace?: boolean } = {},
): Operation {
  return {
    op: {
      $case: "copy",
      value: { ...checked(paths), condition: condition(options), replace: options.replace ?? false },
    },
  };
}

export function setMetadata(path: string, change: MetadataChange, options: WriteOptions = {}): Operation {
  const value = {
    path: text("path", path),
    set: texts(change.set ?? {}),
    remove: change.remove ?? [],
    condition: condition(options),
    contentType: text("contentType", change.contentType ?? ""),
  };
  return { op: { $case: "setMetadata", value } };
}

function checked({ from, to }: { from: string; to: string }): { from: string; to: string } {
  return { from: text("from", from), to: text("to", to) };
}

/** Path that an operation is routed by. */
export function pathOf(operation: Operation): string | undefined {
  const op = operation.op;
  if (op === undefined) return undefined;
  if (op.$case === "rename" || op.$case === "copy") return op.value.from;
  if (op.$case === "batch") return op.value.operations[0] && pathOf(op.value.operations[0]);
  return "path" in op.value ? op.value.path : undefined;
}

/** Undefined when the write is unconditional. */
function condition(options: WriteOptions): Precondition | undefined {
  const { ifMatch, ifNoneMatch, ifRevision, fence, lockPath } = options;
  if (ifMatch === undefined && !ifNoneMatch && ifRevision === undefined && fence === undefined) return undefined;
  const parsed = fence === undefined ? undefined : parseFence(fence);
  if (fence !== undefined && !parsed) throw new NexusError("INVALID", `fence: "${fence}" is not a printed fence`);
  return {
    ifMatch: (ifMatch ?? noBytes) as Buffer,
    ifNoneMatch: ifNoneMatch ?? false,
    ifRevision,
    fenceCounter: parsed?.counter ?? 0,
    fenceGeneration: parsed?.generation ?? 0,
    lockPath: lockPath ?? "",
    ifExists: false,
  };
}
