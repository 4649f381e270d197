import type { TLSSocket } from "node:tls";
import type { Clock } from "../base/clock.ts";
import { messageOf, NexusError, type Refusal, refuse } from "../base/errors.ts";
import { failureOf } from "../base/failure.ts";
import { type ChunkPut, chunkFrameBytesMax, doneFrame, readPut } from "./chunk-frames.ts";
import { peerIdentity } from "./credentials.ts";
import { FrameBuffers } from "./frame-buffers.ts";
import { FrameSocket, firstFrameBytesMax } from "./frame-socket.ts";
import { handshakeFrame, readHandshake } from "./frames.ts";
import { checkCaller, handshakeOf, remoteOf } from "./handshake.ts";
import type { BulkServer, Remote, SelfAddress } from "./ports.ts";

export interface ChunkDoorNeeds {
  clock: Clock;
  self: SelfAddress;
  /** As ServeHandler.admit; asked at each chunk. */
  admit: (remote: Remote) => Refusal | undefined;
  server: Pick<BulkServer, "putChunk">;
}

/** Chunks of one caller in memory here; beyond, it is not read. */
const underWayMax = 16;
/** Buffers that a connection keeps for its next chunks. */
const keptMax = 8;

/** Takes the connections on which another box puts chunks. */
export function acceptChunks(needs: ChunkDoorNeeds): (socket: TLSSocket) => void {
  return (socket) => void new ChunkDoor(needs, socket);
}

class ChunkDoor {
  readonly #needs: ChunkDoorNeeds;
  readonly #identity: ReturnType<typeof peerIdentity>;
  readonly #frames: FrameSocket;
  readonly #buffers = new FrameBuffers(chunkFrameBytesMax, keptMax);
  #remote: Remote | undefined;
  #underWay = 0;
  #over = false;

  constructor(needs: ChunkDoorNeeds, socket: TLSSocket) {
    this.#needs = needs;
    this.#identity = peerIdentity(socket);
    this.#frames = new FrameSocket(
      socket,
      {
        clock: needs.clock,
        role: "server",
        bytesMax: firstFrameBytesMax,
        isFirstFrameTimed: true,
        take: (bytes) => this.#buffers.take(bytes),
      },
      {
        frame: (frame) => {
          if (this.#remote === undefined) this.#greet(frame);
          else this.#receive(this.#remote, frame);
        },
        over: () => {
          this.#over = true;
        },
      },
    );
  }

  #greet(frame: Buffer): void {
    const { self, admit } = this.#needs;
    const handshake = readHandshake(frame);
    const remote = handshake && remoteOf(handshake);
    const refusal =
      checkCaller(self, { identity: this.#identity, handshake }, { anyIncarnation: false }) ??
      (remote === undefined ? undefined : admit(remote));
    if (refusal !== undefined || remote === undefined) {
      return this.#frames.refuse(refusal ?? refuse("INVALID", "the first frame must be a handshake"));
    }
    this.#remote = remote;
    this.#frames.takeUpTo(chunkFrameBytesMax);
    this.#frames.write(handshakeFrame(handshakeOf(self, remote)));
  }

  #receive(remote: Remote, frame: Buffer): void {
    let put: ChunkPut | undefined;
    try {
      put = readPut(frame);
    } catch (cause) {
      return this.#frames.refuse(refuse("INVALID", `a chunk that cannot be read: ${messageOf(cause)}`));
    }
    if (put === undefined) return this.#frames.refuse(refuse("INVALID", "a frame that is no chunk"));
    if (++this.#underWay === underWayMax) this.#frames.pause();
    void this.#store(remote, put);
  }

  async #store(remote: Remote, { id, chunk, data }: ChunkPut): Promise<void> {
    const refusal = this.#needs.admit(remote) ?? (await this.#put(remote, chunk, data));
    this.#buffers.giveBack(data);
    if (this.#over) return;
    this.#frames.write(doneFrame({ id, failure: refusal && failureOf(refusal) }));
    if (this.#underWay-- === underWayMax) this.#frames.resume();
  }

  async #put(remote: Remote, chunk: ChunkPut["chunk"], data: Buffer): Promise<Refusal | undefined> {
    try {
      return await this.#needs.server.putChunk(remote, chunk, data);
    } catch (error) {
      return error instanceof NexusError ? error.refusal : refuse("INTERNAL", messageOf(error));
    }
  }
}
