import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, expect, test } from "vitest";
import { openPlainDoors, type PlainPlaces } from "./plain-doors.ts";

const host = "127.0.0.1";
let doors: { close(): void } | undefined;
afterEach(() => doors?.close());

async function freePort(): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function opened(isApart: boolean) {
  const [health, metrics] = [await freePort(), await freePort()];
  const places: PlainPlaces = {
    health: { host, port: health },
    ...(isApart ? { metrics: { host, port: metrics } } : {}),
  };
  let reads = 0;
  const tell = async () => `reads ${++reads}`;
  doors = openPlainDoors(places, { health: () => ({ ready: false }), metrics: { contentType: "text/plain", tell } });
  return async (door: "health" | "metrics", path: string) => {
    const port = door === "health" ? health : metrics;
    const answer = await fetch(`http://${host}:${port}${path}`, { headers: { connection: "close" } });
    return `${answer.status} ${await answer.text()}`;
  };
}

test("metrics are read anew for each page, on a port of their own", async () => {
  const ask = await opened(true);

  expect(await ask("metrics", "/metrics")).toBe("200 reads 1");
  expect(await ask("metrics", "/metrics")).toBe("200 reads 2");
  expect(await ask("metrics", "/healthz")).toBe("404 ");
  expect(await ask("health", "/metrics")).toBe("404 ");
});

test("without a port of their own, the health port tells metrics; a box that is not ready is alive", async () => {
  const ask = await opened(false);

  expect(await ask("health", "/metrics")).toBe("200 reads 1");
  expect(await ask("health", "/healthz")).toBe('200 {"ready":false}');
  expect(await ask("health", "/readyz")).toBe('503 {"ready":false}');
});
