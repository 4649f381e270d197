// Uploads to one box without gRPC, on connections of their own: content never stands before a request. A box that does
// not know them answers the TLS handshake with h2, or not at all, and is called by gRPC.
import { EventEmitter } from "node:events";
import type { UploadHeader } from "@nexus-federation/proto/files.ts";
import type { Response } from "@nexus-federation/proto/request.ts";
import { NexusError } from "../base/errors.ts";
import { isErrorCode } from "../base/failure.ts";
import type { FederationTarget } from "../transport/channel.ts";
import type { FrameSocket } from "../transport/frame-socket.ts";
import type { StreamEvents } from "../transport/streams.ts";
import {
  readUploadFrame,
  uploadData,
  uploadEnd,
  uploadGreeting,
  uploadHeader,
  uploadsProtocol,
} from "../transport/upload-frames.ts";
import { connectFrames } from "./frame-connection.ts";

/** Connections that are kept for the next upload. */
const idleMax = 4;
const connectTimeoutMs = 3_000;

type UploadDone = (error: Error | undefined, answer: Response | undefined) => void;

/** The connections of one session. */
export class UploadSockets {
  readonly #target: FederationTarget;
  readonly #token: string;
  #idle: UploadSocket[] = [];
  #speaksGrpcAlone = false;
  #closed = false;

  constructor(target: FederationTarget, token: string) {
    this.#target = target;
    this.#token = token;
  }

  /** A connection that is free; undefined when the box speaks gRPC alone. Rejects with what is wrong with it. */
  async take(): Promise<UploadSocket | undefined> {
    for (let socket = this.#idle.pop(); socket !== undefined; socket = this.#idle.pop()) {
      if (!socket.isOver) return socket;
    }
    if (this.#speaksGrpcAlone || this.#closed) return undefined;
    const needs = { protocol: uploadsProtocol, timeoutMs: connectTimeoutMs };
    const make = (frames: FrameSocket) => new UploadSocket(frames, this.#token, (free) => this.#keep(free));
    const socket = await connectFrames(this.#target, needs, make);
    this.#speaksGrpcAlone = socket === undefined;
    return socket;
  }

  close(): void {
    this.#closed = true;
    for (const socket of this.#idle) socket.cancel();
    this.#idle = [];
  }

  #keep(socket: UploadSocket): void {
    if (this.#closed || this.#idle.length >= idleMax) socket.cancel();
    else this.#idle.push(socket);
  }
}

/** One connection, one upload at a time. Emits "drain" when more can be written. */
export class UploadSocket extends EventEmitter implements StreamEvents {
  readonly #frames: FrameSocket;
  readonly #token: string;
  readonly #free: (socket: UploadSocket) => void;
  #done: UploadDone | undefined;
  #isEnded = false;
  #over = false;

  constructor(frames: FrameSocket, token: string, free: (socket: UploadSocket) => void) {
    super();
    this.#frames = frames;
    this.#token = token;
    this.#free = free;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** `done` is called once, with an error of ours or the box's answer. */
  start(header: UploadHeader, done: UploadDone): void {
    this.#done = done;
    this.#isEnded = false;
    this.#frames.write(uploadGreeting(this.#token));
    this.#frames.write(uploadHeader(header));
  }

  /** False when "drain" should be waited for. The bytes are copied. */
  write({ data }: { data: Uint8Array }): boolean {
    return this.#frames.write(uploadData(data));
  }
  end(): void {
    this.#isEnded = true;
    this.#frames.write(uploadEnd);
  }
  cancel(): void {
    this.over("the caller gave up");
  }

  frame(bytes: Buffer): void {
    const frame = readUploadFrame(bytes);
    const done = this.#done;
    if (frame?.kind !== "answer" || done === undefined) return this.over("a frame that is no answer");
    this.#done = undefined;
    done(undefined, frame.response);
    // An answer before the end is a refusal: the box listens no more.
    if (this.#isEnded) this.#free(this);
    else this.cancel();
  }

  drained(): void {
    this.emit("drain");
  }

  over(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#frames.destroy();
    this.drained();
    const done = this.#done;
    this.#done = undefined;
    const [, code = "", text = ""] = /^([A-Z_]+): (.*)$/s.exec(reason) ?? [];
    if (isErrorCode(code)) done?.(new NexusError(code, text), undefined);
    else done?.(new NexusError("ZONE_UNAVAILABLE", `the connection to the box broke: ${reason}`), undefined);
  }
}
