// A door of plain HTTP without a token: health and metrics. Whoever reaches it may send anything, or nothing for ever, and
// the descriptors it holds are those that peers and clients need. So connections are few and short, and when there are too
// many the oldest goes: a kubelet's question takes milliseconds, who holds connections loses them.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";

export interface PlainServerLimits {
  /** Connections at a time; the oldest is closed for the one above. */
  connectionsMax: number;
  /** A request has come whole by then, counted from the connection's or the last answer's beginning, ms; else it is closed. */
  requestMs: number;
  /** How often that is looked at, ms. */
  lookMs: number;
  /** An answered connection waits so long for the next request, ms. */
  keepAliveMs: number;
  /** Bytes of a request's head. */
  headBytesMax: number;
}

export const plainServerLimits: PlainServerLimits = {
  connectionsMax: 256,
  requestMs: 5_000,
  lookMs: 1_000,
  keepAliveMs: 60_000,
  headBytesMax: 4_096,
};

/** An answer that throws is a 500, and ends nothing else. */
export function plainServer(
  answer: (request: IncomingMessage, response: ServerResponse) => unknown,
  limits = plainServerLimits,
): Server {
  const options = {
    connectionsCheckingInterval: limits.lookMs,
    headersTimeout: limits.requestMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    maxHeaderSize: limits.headBytesMax,
  };
  const server = createServer(options, async (request, response) => {
    try {
      await answer(request, response);
    } catch {
      if (!response.headersSent) response.writeHead(500);
      response.end();
    }
  });
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    if (open.size > limits.connectionsMax) for (const oldest of open) return void oldest.destroy();
  });
  return server;
}
