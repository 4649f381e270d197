// How the connections without gRPC begin (docs/decisions/024, 028): a TLS handshake that agrees on what they carry.
import { type FederationTarget, socketToFederation } from "../transport/channel.ts";
import { FrameSocket } from "../transport/frame-socket.ts";
import type { StreamEvents } from "../transport/streams.ts";
import { systemClock } from "../transport/system-clock.ts";

/**
 * Connects for `protocol` (an ALPN name); what `make` answers hears all that comes. Undefined when the box speaks gRPC
 * alone; rejects with what is wrong with the connection.
 */
export function connectFrames<T extends StreamEvents>(
  target: FederationTarget,
  { protocol, timeoutMs }: { protocol: string; timeoutMs: number },
  make: (frames: FrameSocket) => T,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const socket = socketToFederation(target, [protocol, "h2"]);
    let made: T | undefined;
    const frames = new FrameSocket(
      socket,
      { clock: systemClock, role: "caller" },
      {
        frame: (frame) => made?.frame(frame),
        drained: () => made?.drained?.(),
        over: (reason) => {
          late.cancel();
          if (made !== undefined) return made.over(reason);
          reject(new Error(reason));
        },
      },
    );
    const late = systemClock.after(timeoutMs, () => {
      frames.destroy();
      reject(new Error("no TLS handshake in time"));
    });
    socket.once("secureConnect", () => {
      late.cancel();
      if (socket.alpnProtocol === protocol) made = make(frames);
      else frames.destroy();
      resolve(made);
    });
  });
}
