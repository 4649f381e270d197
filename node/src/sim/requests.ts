import { hash } from "node:crypto";
import type { Operation, Precondition } from "@nexus-federation/proto/command.ts";
import type { FeedRead, Request, RequestOptions } from "@nexus-federation/proto/request.ts";
import { noOptions } from "../box/ask.ts";
import { slotsOf } from "./lock-model.ts";

const none = Buffer.alloc(0);

export function etagOf(content: Uint8Array): string {
  return hash("sha256", content, "hex");
}

export function writeOp(path: string, content: Uint8Array, condition?: Partial<Precondition>): Operation {
  const value = {
    path,
    content: Buffer.from(content),
    chunks: [],
    size: 0,
    etag: none,
    contentType: "",
    metadata: {},
    condition: condition === undefined ? undefined : { ...noCondition, ...condition },
    uploadIndex: 0,
  };
  return { op: { $case: "write", value } };
}

const noCondition: Precondition = {
  ifMatch: none,
  ifNoneMatch: false,
  ifRevision: undefined,
  fenceCounter: 0,
  fenceGeneration: 0,
  lockPath: "",
  ifExists: false,
};

export function deleteOp(path: string): Operation {
  return { op: { $case: "delete", value: { path, recursive: false, condition: undefined } } };
}

export function mutation(operation: Operation, options: Partial<RequestOptions>): Request {
  return { id: 1, zone: "", options: { ...noOptions, ...options }, op: { $case: "mutate", value: operation } };
}

export function readOf(path: string, options: Partial<RequestOptions>): Request {
  return {
    id: 1,
    zone: "",
    options: { ...noOptions, ...options },
    op: { $case: "read", value: { path, infoOnly: false } },
  };
}

/** A page of the feed of the zone at the root. */
export function feedOf(at: Pick<FeedRead, "afterIndex" | "generation" | "limit" | "waitMs">): Request {
  const options = { ...noOptions, timeoutMs: 1_000 };
  return { id: 1, zone: "", options, op: { $case: "feed", value: { path: "/", fromNow: false, ...at } } };
}

export function acquireOp(path: string, how: { ttlMs: number; wait: boolean; owner: string }): Operation {
  const kind = path.includes("sem") ? "semaphore" : "mutex";
  return { op: { $case: "acquire", value: { path, kind, slots: slotsOf(path), ...how } } };
}
