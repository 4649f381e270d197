// The stream of one session without gRPC: frames on a TLS connection of its own, half the work of a gRPC message at both
// ends. A box that does not know it answers the TLS handshake with h2, or not at all, and is called by gRPC.
import { EventEmitter } from "node:events";
import { status } from "@grpc/grpc-js";
import type { ResponseFrame } from "@nexus-federation/proto/request.ts";
import { messageOf } from "../base/errors.ts";
import type { FederationTarget } from "../transport/channel.ts";
import type { FrameSocket } from "../transport/frame-socket.ts";
import { greetingFrame, readResponses, requestsFrame, sessionProtocol } from "../transport/session-frames.ts";
import type { StreamEvents } from "../transport/streams.ts";
import { connectFrames } from "./frame-connection.ts";

/** What a session needs of its stream: a call of grpc-js has it. */
export interface SessionStream {
  /** An encoded RequestFrame. */
  write(requests: Buffer): unknown;
  cancel(): void;
  on(event: "data", listener: (frame: ResponseFrame) => void): unknown;
  /** The cause has a gRPC status as code. */
  on(event: "error", listener: (cause: Error) => void): unknown;
  on(event: "end", listener: () => void): unknown;
}

/** Ends with an "error" whatever ended it. */
export class SessionSocket extends EventEmitter implements SessionStream, StreamEvents {
  readonly #frames: FrameSocket;

  /** The frames of a connection whose handshake is done; `token` may be empty. */
  constructor(frames: FrameSocket, token: string) {
    super();
    this.#frames = frames;
    frames.write(greetingFrame(token));
  }

  write(requests: Buffer): void {
    this.#frames.write(requestsFrame(requests));
  }
  cancel(): void {
    this.#frames.destroy();
  }

  frame(frame: Buffer): void {
    try {
      const responses = readResponses(frame);
      if (responses !== undefined) return void this.emit("data", responses);
      this.over("a frame that is no batch of answers");
    } catch (cause) {
      this.over(`a batch of answers that cannot be read: ${messageOf(cause)}`);
    }
  }

  over(reason: string): void {
    this.#frames.destroy();
    const [, code = "", text = reason] = /^([A-Z_]+): (.*)$/s.exec(reason) ?? [];
    this.emit("error", Object.assign(new Error(text), { code: statusOfCode[code] ?? status.UNAVAILABLE }));
  }
}

/** Refusals that end a client's attempts. */
const statusOfCode: Record<string, status> = {
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  DENIED: status.PERMISSION_DENIED,
};

/** Undefined when the box speaks gRPC alone; rejects with what is wrong with the connection. */
export function openSessionSocket(
  target: FederationTarget,
  { token, timeoutMs }: { token: string; timeoutMs: number },
): Promise<SessionSocket | undefined> {
  return connectFrames(target, { protocol: sessionProtocol, timeoutMs }, (frames) => new SessionSocket(frames, token));
}
