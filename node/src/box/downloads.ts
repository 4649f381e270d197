import type { DownloadFrame, DownloadRequest } from "@nexus-federation/proto/files.ts";
import type { ChunkRef, FileInfo } from "@nexus-federation/proto/records.ts";
import type { Response } from "@nexus-federation/proto/request.ts";
import { asBuffer } from "../base/bytes.ts";
import { isRefusal, NexusError } from "../base/errors.ts";
import type { ChunkPins } from "../blobs/orphans.ts";
import { bulkFrameBytes } from "../transport/ports.ts";
import { refusal } from "../zones/answers.ts";
import type { Admission } from "./admission.ts";
import type { Caller } from "./api.ts";
import { type Ask, noOptions } from "./ask.ts";
import { fetchChunk } from "./chunk-fetch.ts";
import type { Directory } from "./directory.ts";
import type { ChunkStore, ChunkTransfer, Hashing } from "./ports.ts";

export interface DownloadNeeds {
  self: string;
  ask: Ask;
  directory: Directory;
  chunks: ChunkStore;
  transfer: ChunkTransfer;
  hashing: Hashing;
  admission: Admission;
  pins: ChunkPins;
}

/** Where a file's chunks lie. */
export interface Holders {
  log: number;
  boxes: string[];
}

/** Chunks of one download in memory at once: one that leaves, the others being read. */
const aheadMax = 4;

/** A file's head and then its bytes, few chunks in memory at a time. A chunk that no holder gives ends it by an error. */
export async function* downloadFile(
  needs: DownloadNeeds,
  request: DownloadRequest,
  caller: Caller,
  signal: AbortSignal,
): AsyncGenerator<DownloadFrame, void, void> {
  let isEnded = false;
  const transfer = needs.admission.enterTransfer(() => {
    isEnded = true;
  });
  if (isRefusal(transfer)) return yield { head: refusal(transfer), data: Buffer.alloc(0) };
  try {
    for await (const frame of framesOf(needs, { request, caller, signal })) {
      transfer.moved(frame.data.length);
      yield frame;
      if (isEnded)
        throw new NexusError("DEADLINE", "the download stood still or nearly so, and others wanted its place");
    }
  } finally {
    transfer.leave();
  }
}

async function* framesOf(
  needs: DownloadNeeds,
  { request, caller, signal }: { request: DownloadRequest; caller: Caller; signal: AbortSignal },
): AsyncGenerator<DownloadFrame, void, void> {
  const options = request.options ?? noOptions;
  const head = await needs.ask(
    { $case: "read", value: { path: request.path, infoOnly: false } },
    { zone: request.zone, caller, options },
  );
  const read = head.result?.$case === "read" ? head.result.value : undefined;
  const content = read?.content ?? Buffer.alloc(0);
  yield { head: headOnly(head), data: Buffer.alloc(0) };
  if (read?.info === undefined) return;
  const range = rangeOf(read.info.size, request);
  if (read.info.chunks.length === 0) return yield* pieces(content.subarray(range.from, range.to));
  const holders = holdersOf(needs, head);
  const release = needs.pins.pin(read.info.chunks.map(({ address }) => address));
  try {
    yield* chunked(needs, { info: read.info, range, holders, signal });
  } finally {
    release();
  }
}

function headOnly(head: Response): Response {
  if (head.result?.$case !== "read") return head;
  return { ...head, result: { $case: "read", value: { info: head.result.value.info, content: Buffer.alloc(0) } } };
}

function rangeOf(size: number, { offset, length }: DownloadRequest): { from: number; to: number } {
  const from = Math.min(offset, size);
  return { from, to: Math.min(size, length === undefined ? size : from + length) };
}

function holdersOf(needs: DownloadNeeds, head: Response): Holders {
  const rule = needs.directory.zone(head.receipt?.zone ?? "");
  const members = isRefusal(rule) ? [] : rule.members;
  const boxes = [...new Set([head.servedBy, ...members])].filter((box) => box !== "" && box !== needs.self);
  return { log: isRefusal(rule) ? 0 : rule.log, boxes };
}

async function* chunked(
  needs: DownloadNeeds,
  from: { info: FileInfo; range: { from: number; to: number }; holders: Holders; signal: AbortSignal },
): AsyncGenerator<DownloadFrame, void, void> {
  const { range, signal } = from;
  const wanted = [...chunksIn(from.info.chunks, range)];
  const reading: Promise<Uint8Array>[] = [];
  for (let at = 0; at < wanted.length; at++) {
    while (reading.length < aheadMax && at + reading.length < wanted.length) {
      const next = chunkOf(needs, wanted[at + reading.length]!.ref, from.holders, signal);
      // Whoever gives up earlier leaves it behind.
      next.catch(() => {});
      reading.push(next);
    }
    if (signal.aborted) return;
    const chunk = await reading.shift()!;
    const { start, ref } = wanted[at]!;
    yield* pieces(chunk.subarray(Math.max(0, range.from - start), Math.min(ref.size, range.to - start)));
  }
}

/** The chunks that a range touches, and where in the file they start. */
function* chunksIn(chunks: readonly ChunkRef[], range: { from: number; to: number }) {
  let start = 0;
  for (const ref of chunks) {
    if (start + ref.size > range.from && start < range.to) yield { ref, start };
    start += ref.size;
  }
}

/** A chunk from this box or a holder; throws when nobody gives it. */
export async function chunkOf(
  needs: Pick<DownloadNeeds, "chunks" | "transfer" | "hashing">,
  ref: ChunkRef,
  holders: Holders,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const local = await ownChunk(needs.chunks, ref.address);
  if (local !== "damaged" && local !== undefined) return local;
  const found = await fetchChunk(needs, { ...holders, address: ref.address, what: "a chunk of the file" }, signal);
  // This box is counted as a holder: what it lost is made good.
  if (local === "damaged") await needs.chunks.put(ref.address, found, "hashed");
  return found;
}

/** A damaged chunk is set aside by the store and named once; afterwards it is absent. */
async function ownChunk(chunks: ChunkStore, address: Uint8Array): Promise<Uint8Array | "damaged" | undefined> {
  if (!chunks.has(address)) return undefined;
  try {
    return await chunks.get(address);
  } catch (error) {
    if (error instanceof NexusError && error.code === "CORRUPT") return "damaged";
    throw error;
  }
}

function* pieces(bytes: Uint8Array): Generator<DownloadFrame, void, void> {
  for (let at = 0; at < bytes.length; at += bulkFrameBytes) {
    yield { head: undefined, data: asBuffer(bytes.subarray(at, at + bulkFrameBytes)) };
  }
}
