// A TLS proxy between the runtime and a real API server that does to calls and watches what networks, proxies and servers
// do: nothing of the API is imitated but the faults themselves, so what passes is what the real server says.
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer, request as forward, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import { Authority } from "@nexus-federation/node/transport/authority.ts";
import { thePlane } from "./api.ts";

/** What happens to one call. */
export type Fault =
  /** The server is not asked; this is answered. */
  | { kind: "answer"; status: number; reason: string; retryAfterSeconds?: number }
  /** The connection dies before the server is asked. */
  | { kind: "reset" }
  /** The server does it, and the connection dies before it can say so. */
  | { kind: "lost-answer" }
  /** Nothing is asked or answered, the connection stays. */
  | { kind: "stall" }
  /** The answer is no JSON, as from a login page in between. */
  | { kind: "garble" };

interface Planned {
  matches: (request: { method: string; path: string }) => boolean;
  fault: Fault;
  /** How many more calls it happens to. */
  left: number;
}

/** What becomes of the events of watches that are open or will be. */
export type WatchMode = "pass" | "stall" | "duplicate" | "reorder" | "drop";

interface OpenWatch {
  path: string;
  response: ServerResponse;
  upstream: IncomingMessage;
  /** The event that waits for its successor, to come after it. */
  held: string | undefined;
}

export class FaultProxy {
  readonly url: string;
  readonly ca: string;
  /** Every call that came, as `METHOD path?query`. */
  readonly calls: string[] = [];
  watchMode: WatchMode = "pass";
  readonly #server: Server;
  readonly #agent: Agent;
  readonly #target: URL;
  readonly #planned: Planned[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #watches = new Set<OpenWatch>();
  #isDown = false;

  private constructor(server: Server, target: { url: URL; ca: Buffer | undefined }, ca: string) {
    this.#server = server;
    this.#target = target.url;
    this.#agent = new Agent({ keepAlive: true, ca: target.ca });
    this.ca = ca;
    this.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (socket: Socket) => {
      if (this.#isDown) return socket.destroy();
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    server.on("request", (request, response) => this.#handle(request, response));
  }

  static async start(): Promise<FaultProxy> {
    const authority = await Authority.create("proxy", Date.now());
    const leaf = await authority.issue({ kind: "box", id: "proxy" }, { nowMs: Date.now() });
    const server = createServer({ key: leaf.key, cert: leaf.certificate });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const config = new KubeConfig();
    config.loadFromFile(thePlane().kubeconfig);
    const cluster = config.getCurrentCluster();
    const ca = cluster?.caData === undefined ? undefined : Buffer.from(cluster.caData, "base64");
    return new FaultProxy(server, { url: new URL(cluster?.server ?? ""), ca }, authority.certificatePem);
  }

  /** The next `times` calls that match meet the fault. */
  plan(fault: Fault, on: { method?: string; path?: RegExp; times?: number } = {}): void {
    const matches = ({ method, path }: { method: string; path: string }) =>
      (on.method === undefined || on.method === method) && (on.path === undefined || on.path.test(path));
    this.#planned.push({ matches, fault, left: on.times ?? 1 });
  }
  /** No plan is in force any more. */
  heal(): void {
    this.#planned.length = 0;
    this.watchMode = "pass";
    this.#isDown = false;
  }

  /** Nothing reaches the server, and what was connected is cut. */
  goDown(): void {
    this.#isDown = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Watches that are open now. */
  get watches(): number {
    return this.#watches.size;
  }
  callsOf(pattern: RegExp): number {
    return this.calls.filter((call) => pattern.test(call)).length;
  }

  /** What happens to every watch that is open. */
  breakWatches(how: "reset" | "end" | "expire" | "garble"): void {
    for (const { response } of this.#watches) {
      if (response.writableEnded) continue;
      if (how === "reset") response.socket?.destroy();
      else if (how === "end") response.end();
      else if (how === "garble") response.end('{"type":"ADDED","object":{"kind\n');
      else response.end(`${JSON.stringify({ type: "ERROR", object: statusOf(410, "Expired") })}\n`);
    }
  }

  async stop(): Promise<void> {
    this.goDown();
    this.#agent.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const [method, path] = [request.method ?? "", request.url ?? ""];
    this.calls.push(`${method} ${path}`);
    const planned = this.#planned.find((each) => each.left > 0 && each.matches({ method, path }));
    if (planned) planned.left--;
    const fault = planned?.fault;
    switch (fault?.kind) {
      case "answer":
        return answer(response, fault);
      case "reset":
        request.socket.destroy();
        return;
      case "stall":
        return;
      case "garble":
        response.writeHead(200, { "content-type": "text/html" }).end("<html>Sign in</html>");
        return;
      default:
        this.#pass(request, response, fault?.kind === "lost-answer");
    }
  }

  #pass(request: IncomingMessage, response: ServerResponse, isAnswerLost: boolean): void {
    const { method, url = "/", headers } = request;
    const { hostname, port } = this.#target;
    const upstream = forward({ hostname, port, method, path: url, headers, agent: this.#agent }, (message) => {
      if (isAnswerLost) {
        message.resume();
        message.on("end", () => request.socket.destroy());
        return;
      }
      response.writeHead(message.statusCode ?? 502, message.headers);
      if (url.includes("watch=true") && message.statusCode === 200) this.#follow(url, message, response);
      else message.pipe(response);
      message.on("error", () => request.socket.destroy());
    });
    upstream.on("error", () => request.socket.destroy());
    response.on("close", () => upstream.destroy());
    request.pipe(upstream);
  }

  #follow(path: string, upstream: IncomingMessage, response: ServerResponse): void {
    const watch: OpenWatch = { path, response, upstream, held: undefined };
    this.#watches.add(watch);
    response.flushHeaders();
    response.on("close", () => this.#watches.delete(watch));
    let rest = "";
    upstream.setEncoding("utf8");
    upstream.on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#event(watch, line);
    });
    upstream.on("end", () => {
      if (this.watchMode !== "stall") response.end();
    });
    upstream.on("aborted", () => response.socket?.destroy());
  }

  #event(watch: OpenWatch, line: string): void {
    const { response } = watch;
    // A watch that was broken on purpose may still be told what the server had sent before it knew.
    const send = (text: string) => response.writableEnded || response.write(`${text}\n`);
    switch (this.watchMode) {
      case "pass":
        send(line);
        break;
      case "duplicate":
        send(line);
        send(line);
        break;
      case "reorder":
        if (watch.held === undefined) watch.held = line;
        else {
          send(line);
          send(watch.held);
          watch.held = undefined;
        }
        break;
      case "stall":
      case "drop":
        break;
    }
  }
}

function statusOf(code: number, reason: string, retryAfterSeconds?: number) {
  const details = retryAfterSeconds === undefined ? {} : { details: { retryAfterSeconds } };
  return {
    kind: "Status",
    apiVersion: "v1",
    status: "Failure",
    message: `injected ${reason}`,
    reason,
    code,
    ...details,
  };
}

function answer(response: ServerResponse, fault: Fault & { kind: "answer" }): void {
  const { status, reason, retryAfterSeconds } = fault;
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (retryAfterSeconds !== undefined) headers["retry-after"] = String(retryAfterSeconds);
  response.writeHead(status, headers).end(JSON.stringify(statusOf(status, reason, retryAfterSeconds)));
}
