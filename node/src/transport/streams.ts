// One long stream of frames to or from a peer, whatever carries it. Between boxes of this version it is a TLS connection
// of its own (frame-socket.ts); a box that speaks gRPC alone is met by gRPC, and is served by it.

import type { ClientDuplexStream, ServerDuplexStream } from "@grpc/grpc-js";
import { Metadata } from "@grpc/grpc-js";
import { messageOf, type Refusal } from "../base/errors.ts";
import { type BoxTarget, clientToBox } from "./channel.ts";
import type { Service } from "./ports.ts";
import { type ByteSink, streamMethods } from "./raw.ts";
import { statusOf } from "./refusals.ts";

export interface PeerStream extends ByteSink {
  /** Lets what was written leave, then closes. */
  end(): void;
  /** As `end`; the other end is told why. */
  refuse(refusal: Refusal): void;
  /** Closes at once; its owner hears no more of it. */
  destroy(): void;
}

export interface StreamEvents {
  /** One whole frame; a view that stays valid. */
  frame(frame: Buffer): void;
  /** Nothing more comes. */
  over(reason: string): void;
  /** What was written has left, after `write` said that it has to wait. */
  drained?(): void;
}

/** What is needed to call one service of one peer. */
export interface DialTarget extends BoxTarget {
  service: Service;
  /** The first frame. */
  greeting: Buffer;
}

type ServerCall = ServerDuplexStream<Buffer, Buffer>;

/** The serving side of a gRPC call. */
export function acceptedCall(call: ServerCall, events: StreamEvents): PeerStream {
  call.on("data", (frame: Buffer) => events.frame(frame));
  call.on("error", (error) => events.over(messageOf(error)));
  call.on("cancelled", () => events.over("cancelled"));
  call.on("close", () => events.over("closed"));
  call.on("end", () => {
    events.over("closed by the peer");
    call.end();
  });
  return {
    write: (frame, written) => call.write(frame, written),
    end: () => void call.end(),
    refuse: (refusal) => void call.emit("error", statusOf(refusal)),
    destroy: () => void call.end(),
  };
}

/** The calling side by gRPC. Throws INVALID when the own credentials do not fit. */
export function dialCall(target: DialTarget, events: StreamEvents): PeerStream {
  const client = clientToBox(target);
  const method = streamMethods[target.service];
  const stream: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    new Metadata(),
  );
  stream.on("data", (frame: Buffer) => events.frame(frame));
  stream.on("error", (error) => events.over(messageOf(error)));
  stream.on("end", () => events.over("closed by the peer"));
  stream.write(target.greeting);
  const destroy = () => {
    // A cancelled call ends with an error event, which is no news.
    stream.removeAllListeners("error").on("error", () => {});
    stream.cancel();
    client.close();
  };
  return { write: (frame, written) => stream.write(frame, written), end: destroy, refuse: destroy, destroy };
}
