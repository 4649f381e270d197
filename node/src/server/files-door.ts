import {
  type handleServerStreamingCall,
  type Metadata,
  type ServerReadableStream,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import type {
  DownloadFrame,
  DownloadRequest,
  FilesServer,
  UploadFrame,
  WatchFrame,
  WatchRequest,
} from "@nexus-federation/proto/files.ts";
import type { LockRequest, LocksServer } from "@nexus-federation/proto/locks.ts";
import type { Request, Response } from "@nexus-federation/proto/request.ts";
import { isRefusal, messageOf, type Refusal, refuse } from "../base/errors.ts";
import type { BoxApi, Caller } from "../box/api.ts";
import { waitsForLock } from "../box/operations.ts";
import { type Authenticator, bearerOfMetadata, grpcError, ownOptions, refusedResponse } from "./callers.ts";
import type { LockWaiters } from "./lock-waiters.ts";
import { SessionDoor } from "./session-door.ts";

export interface FilesDoorNeeds {
  box: BoxApi;
  authenticator: Authenticator;
  /** Identity of the client certificate behind a call, if it sent one. */
  identityOf: (call: object) => Parameters<Authenticator["authenticate"]>[1];
  defer: (fn: () => void) => void;
  lockWaiters: LockWaiters;
}

type Call = { metadata: Metadata; on(event: "error", listener: () => void): unknown };

/** The Files service of proto/nexus/v1/files.proto. A caller that cannot be authenticated gets gRPC UNAUTHENTICATED. */
export function filesDoor(needs: FilesDoorNeeds): FilesServer {
  const { box } = needs;
  return {
    session(stream) {
      const { defer, lockWaiters } = needs;
      const breakStream = breakOff(stream);
      const refuse = (refusal: Refusal) => breakStream(grpcError(refusal));
      withCaller(needs, stream, breakStream, (caller) => {
        new SessionDoor({ box, caller, stream, refuse, defer, lockWaiters }).start();
      });
    },
    call(call, done) {
      withCaller(needs, call, done, (caller) => {
        const request = call.request;
        request.options = ownOptions(request.options, caller);
        ask(needs, call, { request, caller }, (response) => done(null, response));
      });
    },
    upload(call, done) {
      withCaller(needs, call, done, (caller) => {
        answer(receiveUpload(box, caller, call), done);
      });
    },
    download: serverStream(needs, (caller, call: ServerWritableStream<DownloadRequest, DownloadFrame>, signal) => {
      call.request.options = ownOptions(call.request.options, caller);
      return box.download(call.request, caller, signal);
    }),
    watch: serverStream(needs, (caller, call: ServerWritableStream<WatchRequest, WatchFrame>, signal) => {
      call.request.options = ownOptions(call.request.options, caller);
      return box.watch(call.request, caller, signal);
    }),
  };
}

/** One request of a call of its own. */
function ask(
  { box, lockWaiters }: FilesDoorNeeds,
  call: { cancelled: boolean; on(event: "cancelled", listener: () => void): unknown },
  asked: { request: Request; caller: Caller },
  done: (response: Response) => void,
): void {
  if (!waitsForLock(asked.request)) return box.handle(asked.request, asked.caller, done);
  const gone = lockWaiters.handle(box, asked, done);
  if (call.cancelled) gone();
  else call.on("cancelled", gone);
}

/** The Locks service: the same lock operations as Files.Call, as methods of their own. */
export function locksDoor(needs: FilesDoorNeeds): LocksServer {
  const method =
    (op: (request: LockRequest) => Request["op"]): LocksServer["acquire"] =>
    (call, done) => {
      withCaller(needs, call, done, (caller) => {
        const options = ownOptions(call.request.options, caller);
        const request: Request = { id: 0, options, zone: call.request.zone, op: op(call.request) };
        if (request.op === undefined)
          return done(null, refusedResponse(0, refuse("INVALID", "the message of this lock method is missing")));
        ask(needs, call, { request, caller }, (response) => done(null, response));
      });
    };
  return {
    acquire: method(
      ({ acquire }) => acquire && { $case: "mutate", value: { op: { $case: "acquire", value: acquire } } },
    ),
    extend: method(({ extend }) => extend && { $case: "mutate", value: { op: { $case: "extend", value: extend } } }),
    release: method(
      ({ release }) => release && { $case: "mutate", value: { op: { $case: "release", value: release } } },
    ),
    inspect: method(({ path }) => ({ $case: "inspectLock", value: { path } })),
  };
}

/** Goes on with who calls: at once unless somebody else must be asked. Who may not call is told it by `refused`. */
export function withCaller(
  needs: Pick<FilesDoorNeeds, "authenticator" | "identityOf">,
  call: Call,
  refused: (error: ReturnType<typeof grpcError>) => void,
  go: (caller: Caller) => void,
): void {
  const caller = needs.authenticator.authenticate(bearerOfMetadata(call.metadata), needs.identityOf(call));
  const found = (it: Caller | Refusal) => (isRefusal(it) ? refused(grpcError(it)) : go(it));
  if (!(caller instanceof Promise)) return found(caller);
  // A stream that breaks meanwhile has nobody else who listens yet.
  call.on("error", () => {});
  void caller.then(found);
}

/** A refusal of a stream. */
const breakOff = (call: { emit(event: "error", error: Error): unknown }) => (error: Error) =>
  void call.emit("error", error);

export function answer<T>(reply: Promise<T>, done: sendUnaryData<T>): void {
  reply.then(
    (value) => done(null, value),
    (error) => done({ code: status.INTERNAL, details: messageOf(error) }),
  );
}

async function receiveUpload(
  box: BoxApi,
  caller: Caller,
  call: ServerReadableStream<UploadFrame, Response>,
): Promise<Response> {
  let upload: ReturnType<BoxApi["upload"]> | undefined;
  let finished = false;
  try {
    for await (const frame of call as AsyncIterable<UploadFrame>) {
      if (frame.header && !upload) {
        upload = box.upload({ ...frame.header, options: ownOptions(frame.header.options, caller) }, caller);
      }
      if (!upload) return refusedResponse(0, refuse("INVALID", "header: the first frame of an upload carries it"));
      const refusal = frame.data.length > 0 ? await upload.write(frame.data) : undefined;
      if (refusal) return refusedResponse(0, refusal);
    }
    if (!upload) return refusedResponse(0, refuse("INVALID", "header: the first frame of an upload carries it"));
    if (call.cancelled) return refusedResponse(0, refuse("DEADLINE", "the client gave up"));
    finished = true;
    return await upload.finish();
  } finally {
    if (!finished) upload?.abort();
  }
}

/** Pulls an async source into a server stream at the client's pace; the signal fires when the client is gone. */
export function serverStream<In, Out>(
  needs: Pick<FilesDoorNeeds, "authenticator" | "identityOf">,
  open: (caller: Caller, call: ServerWritableStream<In, Out>, signal: AbortSignal) => AsyncIterable<Out>,
): handleServerStreamingCall<In, Out> {
  return (call) => {
    const gone = new AbortController();
    call.on("cancelled", () => gone.abort());
    call.on("error", () => gone.abort());
    withCaller(needs, call, breakOff(call), (caller) => {
      void pump(call, open(caller, call, gone.signal), { signal: gone.signal, caller });
    });
  };
}

async function pump<In, Out>(
  call: ServerWritableStream<In, Out>,
  source: AsyncIterable<Out>,
  { signal, caller }: { signal: AbortSignal; caller: Caller },
): Promise<void> {
  try {
    for await (const frame of source) {
      if (signal.aborted) return;
      const refusal = await caller.renewal?.();
      if (refusal) return void call.emit("error", grpcError(refusal));
      if (!call.write(frame)) await drained(call, signal);
    }
    call.end();
  } catch (error) {
    call.emit("error", { code: status.INTERNAL, details: messageOf(error) });
  }
}

interface Drains {
  once(event: "drain", listener: () => void): unknown;
  removeListener(event: "drain", listener: () => void): unknown;
}

/** Until there is space, or the client is gone; no listener stays behind. */
function drained(call: Drains, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      call.removeListener("drain", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    call.once("drain", done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
