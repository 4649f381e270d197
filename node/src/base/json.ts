// Records as JSON, over HTTP and on the command line.
import type { FileInfo, Receipt } from "@nexus-federation/proto/records.ts";
import { hexOf } from "./bytes.ts";

export function revisionText(generation: number, index: number): string {
  return `${generation}.${index}`;
}

export function jsonFile(info: FileInfo) {
  return {
    name: info.name,
    path: info.path,
    type: info.type,
    revision: revisionText(info.generation, info.revision),
    etag: hexOf(info.etag),
    size: info.size,
    created: new Date(info.createdMs).toISOString(),
    modified: new Date(info.modifiedMs).toISOString(),
    contentType: info.contentType,
    metadata: info.metadata,
    ...(info.unavailable ? { unavailable: true as const } : {}),
  };
}

export function jsonReceipt(receipt: Receipt | undefined) {
  if (!receipt) return undefined;
  return {
    zone: receipt.zone,
    mode: receipt.mode,
    epoch: receipt.epoch,
    revision: revisionText(receipt.generation, receipt.index),
    stalenessMs: receipt.stalenessMs,
    copies: receipt.copies,
    regions: receipt.regions,
    degraded: receipt.degraded,
    ...(receipt.fence ? { fence: receipt.fence } : {}),
    logTimeMs: receipt.logTimeMs,
    token: Buffer.from(receipt.token).toString("base64url"),
  };
}
