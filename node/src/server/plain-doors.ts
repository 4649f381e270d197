import type { Server, ServerResponse } from "node:http";
import { plainServer } from "../transport/plain-server.ts";

interface Place {
  host: string;
  port: number;
}

export interface PlainPlaces {
  /** For the kubelet: /healthz and /readyz. Absent: not told. */
  health?: Place | undefined;
  /** For Prometheus: /metrics. Absent: the health port tells it too. */
  metrics?: Place | undefined;
}

export interface PlainNeeds {
  health: () => { ready: boolean };
  /** The same page as the client port's: what moves is read when it is asked for. */
  metrics: { contentType: string; tell: () => Promise<string> };
}

/** Plain HTTP without a token: health for the kubelet and metrics for Prometheus, on one port or each on its own. */
export function openPlainDoors({ health, metrics }: PlainPlaces, needs: PlainNeeds): { close(): void } {
  const tellMetrics = async (response: ServerResponse) => {
    response.setHeader("content-type", needs.metrics.contentType).end(await needs.metrics.tell());
  };
  const tellHealth = (url: string | undefined, response: ServerResponse) => {
    const state = needs.health();
    const ok = url === "/healthz" || (url === "/readyz" && state.ready);
    response.writeHead(ok ? 200 : 503, { "content-type": "application/json" }).end(JSON.stringify(state));
  };
  const servers: Server[] = [];
  if (health !== undefined) {
    const server = plainServer(({ url }, response) => {
      if (url !== "/metrics") return tellHealth(url, response);
      if (metrics === undefined) return tellMetrics(response);
      return response.writeHead(404).end();
    });
    servers.push(server.listen(health.port, health.host));
  }
  if (metrics !== undefined) {
    const server = plainServer(({ url }, response) => {
      return url === "/metrics" ? tellMetrics(response) : response.writeHead(404).end();
    });
    servers.push(server.listen(metrics.port, metrics.host));
  }
  return {
    close() {
      for (const server of servers) server.close();
    },
  };
}
