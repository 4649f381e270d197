// Whether a box's peer listener and these credentials accept each other, shown by a handshake alone: a witness has no
// admin service to ask.
import { type BoxTarget, socketToBox } from "./channel.ts";

const timeoutMs = 3_000;

/**
 * True when the box accepted the certificate and was accepted. In TLS 1.3 a client's handshake ends before the server has
 * judged it; what says that it was accepted is the HTTP/2 server's first frame.
 */
export function acceptsEachOther(target: BoxTarget): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = socketToBox(target, ["h2"]);
    const end = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.setTimeout(timeoutMs, () => end(false));
    socket.once("data", () => end(true));
    socket.once("error", () => end(false));
    socket.once("close", () => end(false));
  });
}
