// Streams: large content up and down, and the change feed. Each travels on a stream of its own beside the session.
import type { ClientReadableStream, ClientWritableStream, requestCallback } from "@grpc/grpc-js";
import type { WriteFile } from "@nexus-federation/proto/command.ts";
import {
  type DownloadFrame,
  type DownloadRequest,
  FilesService,
  type UploadFrame,
  type UploadHeader,
  type WatchFrame,
} from "@nexus-federation/proto/files.ts";
import type { Event, FileInfo, Receipt } from "@nexus-federation/proto/records.ts";
import type { RequestOptions, Response } from "@nexus-federation/proto/request.ts";
import { type Clock, delay } from "../base/clock.ts";
import { errorKinds, messageOf, NexusError } from "../base/errors.ts";
import { decodeDownloadFrame, encodeUploadFrame } from "../transport/content-frames.ts";
import { bulkFrameBytes } from "../transport/ports.ts";
import { errorOf, failureError } from "./caller.ts";
import { write } from "./operations.ts";
import { plainText } from "./problems.ts";
import type { Session } from "./session.ts";
import type { PutOptions, ReadOptions, Written } from "./types.ts";

export interface ContentOptions {
  /** Bytes that will come, when known: refused early if a limit is exceeded. */
  size?: number;
  offset?: number;
  length?: number;
  /** Called with the bytes moved so far. */
  onProgress?: (bytes: number) => void;
}
export interface Download {
  receipt: Receipt;
  info: FileInfo;
  data: AsyncIterable<Uint8Array>;
}
export interface WatchBatch {
  /** Send as `after` to go on behind this batch. */
  token: string;
  events: Event[];
}

interface Needs {
  session: () => Promise<Session>;
  options: RequestOptions;
}

/** A started upload is not retried by itself: the source can be read once only. Its request id makes a caller's retry safe. */
export async function upload(
  needs: Needs,
  what: { path: string; source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>; put: PutOptions & ContentOptions },
): Promise<Written> {
  const session = await needs.session();
  const operation = write(what.path, new Uint8Array(0), what.put).op;
  const file = { ...(operation!.value as WriteFile), size: what.put.size ?? 0 };
  const { signal } = what.put;
  const giveUp = () => new NexusError("DEADLINE", "the caller gave up", { cause: signal?.reason });
  if (signal?.aborted) throw giveUp();
  const header = { options: needs.options, write: file, zone: what.put.zone ?? "" };
  const socket = await session.uploads?.take().catch((cause) => {
    throw streamError(cause, session);
  });
  if (signal?.aborted) {
    socket?.cancel();
    throw giveUp();
  }
  const answered = new AbortController();
  const response = await new Promise<Response>((resolve, reject) => {
    const done = (error: Error | null | undefined, answer?: Response) => {
      answered.abort();
      if (error || answer === undefined) reject(streamError(error, session));
      else resolve(answer);
    };
    const call = socket ?? startUpload(session, header, done);
    signal?.addEventListener("abort", () => call.cancel(), { once: true, signal: answered.signal });
    socket?.start(header, done);
    feed({ sink: call, answered: answered.signal }, what.source, what.put.onProgress).catch((cause) => {
      reject(cause);
      call.cancel();
    });
  });
  if (response.result?.$case === "failure") throw errorOf(response);
  if (response.result?.$case !== "operation") throw errorOf(response);
  return { receipt: response.receipt!, info: response.result.value.info };
}

function startUpload(
  session: Session,
  header: UploadHeader,
  done: requestCallback<Response>,
): ClientWritableStream<UploadFrame> {
  const { path, responseDeserialize } = FilesService.upload;
  const { rpc, metadata } = session;
  const call = rpc.makeClientStreamRequest(path, encodeUploadFrame, responseDeserialize, metadata, done);
  call.on("error", () => {});
  call.write({ header, data: Buffer.alloc(0) });
  return call;
}

function startDownload(session: Session, request: DownloadRequest): ClientReadableStream<DownloadFrame> {
  const { path, requestSerialize } = FilesService.download;
  return session.rpc.makeServerStreamRequest(path, requestSerialize, decodeDownloadFrame, request, session.metadata);
}

interface Sink {
  write(frame: { header: undefined; data: Buffer }): boolean;
  once(event: "drain", listener: () => void): unknown;
  removeListener(event: "drain", listener: () => void): unknown;
  end(): void;
}

/** Until there is space, or an answer; no listener stays behind. */
function drained(sink: Sink, answered: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      sink.removeListener("drain", done);
      answered.removeEventListener("abort", done);
      resolve();
    };
    sink.once("drain", done);
    answered.addEventListener("abort", done);
    if (answered.aborted) done();
  });
}

/** Stops reading the source when the box has answered already: it refused. */
async function feed(
  to: { sink: Sink; answered: AbortSignal },
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  onProgress?: (bytes: number) => void,
): Promise<void> {
  const { sink, answered } = to;
  let moved = 0;
  for await (const part of source) {
    for (let at = 0; at < part.length; at += bulkFrameBytes) {
      const data = Buffer.from(part.buffer, part.byteOffset + at, Math.min(bulkFrameBytes, part.length - at));
      if (!sink.write({ header: undefined, data })) await drained(sink, answered);
      if (answered.aborted) return;
      moved += data.length;
      onProgress?.(moved);
    }
  }
  sink.end();
}

export async function download(
  needs: Needs,
  what: { path: string; read: ReadOptions & ContentOptions },
): Promise<Download> {
  const session = await needs.session();
  const { read } = what;
  const request = {
    options: needs.options,
    path: what.path,
    offset: read.offset ?? 0,
    length: read.length,
    zone: read.zone ?? "",
  };
  const call = startDownload(session, request);
  const giveUp = () => call.cancel();
  read.signal?.addEventListener("abort", giveUp, { once: true });
  if (read.signal?.aborted) giveUp();
  const frames = call[Symbol.asyncIterator]() as AsyncIterator<DownloadFrame>;
  const first = await frames.next().catch((cause) => {
    throw streamError(cause, session);
  });
  const head = first.value?.head;
  if (first.done || !head) throw new NexusError("INTERNAL", "the box sent no head before the content");
  const info = head.result?.$case === "read" ? head.result.value.info : undefined;
  if (!info) {
    call.cancel();
    throw errorOf(head);
  }
  const left = Math.max(0, info.size - request.offset);
  const expected = Math.min(left, read.length ?? left);
  async function* data(): AsyncIterable<Uint8Array> {
    let moved = 0;
    try {
      for (let next = first; !next.done; next = await frames.next()) {
        const part = next.value.data;
        if (part.length === 0) continue;
        moved += part.length;
        read.onProgress?.(moved);
        yield part;
      }
      if (moved !== expected) throw new NexusError("ZONE_UNAVAILABLE", `${moved} of ${expected} bytes came`);
    } catch (cause) {
      throw streamError(cause, session);
    } finally {
      read.signal?.removeEventListener("abort", giveUp);
      call.cancel();
    }
  }
  return { receipt: head.receipt!, info, data: data() };
}

/** Reconnects and resumes behind the last batch until the signal aborts; throws COMPACTED and other final refusals. */
export async function* watch(
  needs: { session: () => Promise<Session>; clock: Clock },
  what: { path: string; zone: string; after: string; signal: AbortSignal | undefined },
): AsyncGenerator<WatchBatch> {
  let after = what.after;
  const retryMs = 100;
  while (!what.signal?.aborted) {
    let call: ReturnType<Session["rpc"]["watch"]> | undefined;
    let session: Session | undefined;
    const onAbort = () => call?.cancel();
    what.signal?.addEventListener("abort", onAbort, { once: true });
    try {
      session = await needs.session();
      call = session.rpc.watch({ options: undefined, path: what.path, after, zone: what.zone }, session.metadata);
      for await (const frame of call as AsyncIterable<WatchFrame>) {
        if (frame.failure) throw failureError(frame.failure);
        if (frame.token) after = frame.token;
        if (frame.events.length > 0) yield { token: frame.token, events: frame.events };
      }
    } catch (cause) {
      if (what.signal?.aborted) return;
      const error = streamError(cause, session);
      if (!errorKinds[error.code].retryable) throw error;
    } finally {
      what.signal?.removeEventListener("abort", onAbort);
      call?.cancel();
    }
    await delay(needs.clock, retryMs, what.signal).catch(() => {});
  }
}

/**
 * gRPC's own failures as ours: a broken stream may come back, a refused identity will not, and the session may have
 * heard of that before the call's own connection was there.
 */
function streamError(cause: unknown, session: Pick<Session, "broken"> | undefined): NexusError {
  if (cause instanceof NexusError) return cause;
  const last = session?.broken;
  if (last?.code === "UNAUTHENTICATED" || last?.code === "DENIED")
    return new NexusError(last.code, last.message, { cause });
  const status = (cause as { code?: number }).code;
  const text = plainText(messageOf(cause));
  if (status === 16) return new NexusError("UNAUTHENTICATED", text, { cause });
  if (status === 7) return new NexusError("DENIED", text, { cause });
  if (status === 8) return new NexusError("TOO_LARGE", text, { cause });
  return new NexusError("ZONE_UNAVAILABLE", `the stream to the box broke: ${text}`, { cause });
}
