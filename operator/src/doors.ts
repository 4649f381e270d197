// What the operator's process answers: its health to the kubelet, its metrics to who scrapes, each on a port of its own, so
// that a network can let the one through and not the other (decision 021).
import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { plainServer } from "@nexus-federation/node/transport/plain-server.ts";
import type { Registry } from "prom-client";

export interface DoorSettings {
  /** Health; 0: any free one. */
  port: number;
  /** Metrics; 0: any free one. */
  metricsPort: number;
}

/** What the doors tell of. */
export interface Told {
  /** All caches were filled once. */
  readonly ready: boolean;
  /** Namespaces whose lease this process holds. */
  readonly leads: readonly string[];
}

export interface Doors {
  /** Where they really are. */
  ports: DoorSettings;
  close(): void;
}

/** Resolves once both listen; rejects when one cannot. */
export async function openDoors(settings: DoorSettings, told: Told, registry: Registry): Promise<Doors> {
  const health = plainServer((request, response) => {
    if (request.url !== "/healthz" && request.url !== "/readyz") return void response.writeHead(404).end();
    const { ready, leads } = told;
    const status = request.url === "/healthz" || ready ? 200 : 503;
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ ready, leads }));
  });
  const metrics = plainServer(tellMetrics(registry));
  const [port, metricsPort] = await Promise.all([
    listening(health, settings.port),
    listening(metrics, settings.metricsPort),
  ]);
  const close = () => {
    health.close();
    metrics.close();
  };
  return { ports: { port, metricsPort }, close };
}

function tellMetrics(registry: Registry) {
  return async (request: IncomingMessage, response: ServerResponse) => {
    if (request.url !== "/metrics") return void response.writeHead(404).end();
    response.setHeader("content-type", registry.contentType).end(await registry.metrics());
  };
}

async function listening(server: Server, port: number): Promise<number> {
  server.listen(port);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
