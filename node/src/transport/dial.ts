// Calls one service of a peer. Every box of this version takes frame sockets; a box of an earlier one answers the TLS
// handshake with h2, and is called by gRPC then, so that a federation is upgraded box by box.

import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { socketToBox } from "./channel.ts";
import { FrameSocket, protocolOf } from "./frame-socket.ts";
import { type DialTarget, dialCall, type PeerStream, type StreamEvents } from "./streams.ts";

/** Sends the greeting as soon as the peer is there. Throws INVALID when the own credentials do not fit. */
export function dial(target: DialTarget, clock: Clock, events: StreamEvents): PeerStream {
  const protocol = protocolOf(target.service);
  const socket = socketToBox(target, [protocol, "h2"]);
  const frames = new FrameSocket(socket, { clock, role: "caller" }, events);
  let stream: PeerStream = frames;
  socket.once("secureConnect", () => {
    if (socket.alpnProtocol === protocol) return void socket.write(target.greeting);
    frames.destroy();
    try {
      stream = dialCall(target, events);
    } catch (error) {
      events.over(messageOf(error));
    }
  });
  return {
    write: (frame, written) => stream.write(frame, written),
    end: () => stream.end(),
    refuse: (refusal) => stream.refuse(refusal),
    destroy: () => stream.destroy(),
  };
}
