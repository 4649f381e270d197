import type { ServerReadableStream, ServerWritableStream } from "@grpc/grpc-js";
import {
  ChunkDone,
  ChunkFrame,
  ChunkRequest,
  Handshake,
  SnapshotDone,
  SnapshotFrame,
} from "@nexus-federation/proto/peer.ts";
import type { Failure } from "@nexus-federation/proto/records.ts";
import { asBuffer } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf, NexusError, type Refusal, refuse } from "../base/errors.ts";
import { failureOf } from "../base/failure.ts";
import { readable } from "../base/readable.ts";
import { ChunkReader, chunkFrames, decodeChunkFrame, snapshotData } from "./bulk-frames.ts";
import { bulkMethods, handshakeKey } from "./bulk-methods.ts";
import { acceptChunks } from "./chunk-door.ts";
import { chunksProtocol } from "./chunk-frames.ts";
import { checkCaller, remoteOf } from "./handshake.ts";
import type { Listener } from "./listener.ts";
import type { BulkServer, Remote, SelfAddress } from "./ports.ts";
import { statusOf } from "./refusals.ts";
import { callIdentity } from "./sessions.ts";

export interface BulkServerNeeds {
  clock: Clock;
  self: SelfAddress;
  /** As ServeHandler.admit. */
  admit: (remote: Remote) => Refusal | undefined;
  server: BulkServer;
}

type Call = ServerReadableStream<Buffer, Buffer> | ServerWritableStream<Buffer, Buffer>;
type Reply = (error: Error | null, done?: Buffer) => void;

/** Adds Snapshot, PutChunk and GetChunk to a peer listener, and chunks as frames, before it starts. */
export function serveBulk(listener: Pick<Listener, "grpc" | "onFrames">, needs: BulkServerNeeds): void {
  listener.onFrames(chunksProtocol, acceptChunks(needs));
  listener.grpc.addService(bulkMethods, {
    snapshot: (call: ServerReadableStream<Buffer, Buffer>, reply: Reply) => {
      answer(needs, call, () => takeSnapshot(needs, call)).then(
        (failure) => reply(null, asBuffer(SnapshotDone.encode({ failure }).finish())),
        reply,
      );
    },
    putChunk: (call: ServerReadableStream<Buffer, Buffer>, reply: Reply) => {
      answer(needs, call, () => takeChunk(needs, call)).then(
        (failure) => reply(null, asBuffer(ChunkDone.encode({ failure }).finish())),
        reply,
      );
    },
    getChunk: (call: ServerWritableStream<Buffer, Buffer>) => {
      answer(needs, call, () => giveChunk(needs, call)).then(
        (failure) => {
          if (failure !== undefined) call.write(failureFrame(failure));
          call.end();
        },
        (error) => call.emit("error", error),
      );
    },
  });
}

/** Runs `act` for an admitted caller; refusals of the work are answers, those of the caller end the call. */
async function answer(
  needs: BulkServerNeeds,
  call: Call,
  act: () => Promise<Refusal | undefined>,
): Promise<Failure | undefined> {
  const refusal = checkCall(needs, call);
  if (refusal !== undefined) throw statusOf(refusal);
  call.on("error", () => {});
  try {
    const refused = await act();
    return refused && failureOf(refused);
  } catch (error) {
    return failureOf(error instanceof NexusError ? error.refusal : refuse("INTERNAL", messageOf(error)));
  }
}

function checkCall(needs: BulkServerNeeds, call: Call): Refusal | undefined {
  const handshake = readCaller(call);
  const refusal = checkCaller(needs.self, { identity: callIdentity(call), handshake }, { anyIncarnation: false });
  if (refusal !== undefined || handshake === undefined) return refusal;
  return needs.admit(remoteOf(handshake));
}

function readCaller(call: Call): Handshake | undefined {
  const [value] = call.metadata.get(handshakeKey);
  return Buffer.isBuffer(value) ? readable(Handshake, value) : undefined;
}

/** Of a call that passed checkCall. */
function callerOf(call: Call): Remote {
  const handshake = readCaller(call);
  if (handshake === undefined) throw new NexusError("INVALID", "the call carries no handshake");
  return remoteOf(handshake);
}

async function takeSnapshot(
  needs: BulkServerNeeds,
  call: ServerReadableStream<Buffer, Buffer>,
): Promise<Refusal | undefined> {
  const frames = call[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const first = await frames.next();
  const header = first.done ? undefined : SnapshotFrame.decode(first.value).header;
  if (header?.message === undefined) return refuse("INVALID", "the first frame must be a snapshot header");
  const start = { log: header.log, message: header.message };
  return needs.server.snapshot(callerOf(call), start, snapshotData(frames));
}

async function takeChunk(
  needs: BulkServerNeeds,
  call: ServerReadableStream<Buffer, Buffer>,
): Promise<Refusal | undefined> {
  const reader = new ChunkReader();
  for await (const frame of call) reader.take(decodeChunkFrame(frame as Buffer));
  const { name, data } = reader.whole();
  return needs.server.putChunk(callerOf(call), name, data);
}

async function giveChunk(
  needs: BulkServerNeeds,
  call: ServerWritableStream<Buffer, Buffer>,
): Promise<Refusal | undefined> {
  const { log, address } = ChunkRequest.decode(call.request);
  const data = await needs.server.getChunk(callerOf(call), { log, address });
  if (data === undefined) return refuse("NOT_FOUND", "the chunk is not held here");
  // At most four frames of a chunk of 1 MiB: grpc-js holds them until the line takes them.
  for (const frame of chunkFrames({ log, address }, data)) call.write(frame);
  return undefined;
}

function failureFrame(failure: Failure): Buffer {
  const none = Buffer.alloc(0);
  return asBuffer(ChunkFrame.encode({ address: none, log: 0, data: none, last: true, size: 0, failure }).finish());
}
