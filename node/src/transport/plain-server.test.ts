import { once } from "node:events";
import type { Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { type PlainServerLimits, plainServer, plainServerLimits } from "./plain-server.ts";

let server: Server;
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.closeAllConnections();
  server.close();
});

async function opened(more: Partial<PlainServerLimits>, answer = (): unknown => "ok"): Promise<number> {
  const limits = { ...plainServerLimits, ...more };
  server = plainServer(async (_, response) => response.end(await answer()), limits).listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function says(port: number, text: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  sockets.push(socket);
  await once(socket, "connect");
  socket.resume().write(text);
  return socket;
}
const asked = (port: number) => fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } });

test("who holds every connection loses the oldest, and the next one is answered", async () => {
  const port = await opened({ connectionsMax: 3, requestMs: 600_000 });
  const held = [await says(port, ""), await says(port, "GET / HT"), await says(port, "")];
  const gone = once(held[0]!, "close");

  expect((await asked(port)).status).toBe(200);

  await gone;
  expect(held[1]!.closed).toBe(false);
});

test("who says nothing, half a request, or a body without end is hung up on", async () => {
  const port = await opened({ requestMs: 50, lookMs: 10 });
  const begun = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx";

  const held = [await says(port, ""), await says(port, "GET / HTTP/1.1\r\nhost"), await says(port, begun)];

  await Promise.all(held.map((socket) => socket.closed || once(socket, "close")));
});

test("a head above the limit is refused, and an answer that throws is one of its own", async () => {
  const port = await opened({}, () => {
    throw new Error("no page");
  });

  expect((await asked(port)).status).toBe(500);
  expect((await fetch(`http://127.0.0.1:${port}/${"x".repeat(5000)}`)).status).toBe(431);
});
