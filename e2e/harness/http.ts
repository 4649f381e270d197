// HTTP requests as a plain client makes them: the path goes out as written, nothing is normalised.
import https, { type RequestOptions } from "node:https";
import { connect, type SecureVersion } from "node:tls";
import type { Federation } from "./federation.ts";

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
  json<T = Record<string, unknown>>(): T;
}

export interface Ask {
  headers?: Record<string, string>;
  body?: string | Buffer;
  /** Null sends none. */
  token?: string | null;
  /** Called with what came so far; true ends the request (for endless answers). */
  enough?: (text: string) => boolean;
  timeoutMs?: number;
  /** The rest of the body never comes. */
  unfinished?: boolean;
}

export class Http {
  readonly #endpoint: string;
  readonly #ca: string;
  readonly #token: string;

  constructor(federation: Federation, endpoint?: string) {
    const context = federation.context();
    this.#endpoint = endpoint ?? context.endpoints[0]!;
    this.#ca = context.ca;
    this.#token = context.token;
  }

  ask(method: string, path: string, ask: Ask = {}): Promise<Answer> {
    const [host, port] = this.#endpoint.split(":");
    const token = ask.token === undefined ? this.#token : ask.token;
    const headers: Record<string, string> = { ...ask.headers };
    if (token !== null) headers["authorization"] = `Bearer ${token}`;
    if (ask.body !== undefined) headers["content-length"] ??= String(Buffer.byteLength(ask.body));
    const options: RequestOptions = { host, port, path, method, headers, ca: this.#ca, agent: false };
    // Certificates name this machine's loopback; a box in a network of its own is known by its authority alone.
    if (!host?.startsWith("127.")) options.checkServerIdentity = () => undefined;
    return new Promise((resolve, reject) => {
      const request = https.request(options, (response) => {
        const parts: Buffer[] = [];
        const done = () => {
          const body = Buffer.concat(parts);
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers as Record<string, string>,
            body,
            json: () => JSON.parse(body.toString()),
          });
        };
        response.on("data", (part: Buffer) => {
          parts.push(part);
          if (!ask.enough?.(Buffer.concat(parts).toString())) return;
          done();
          request.destroy();
        });
        response.on("end", done);
        response.on("error", reject);
      });
      request.on("error", reject);
      request.setTimeout(ask.timeoutMs ?? 15_000, () => request.destroy(new Error(`${method} ${path}: no answer`)));
      if (ask.unfinished) request.write(ask.body ?? "");
      else request.end(ask.body);
    });
  }

  json(method: string, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.ask(method, path, {
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers },
    });
  }

  /** TLS version that a handshake of at most `max` ends with; rejects when it is refused. */
  handshake(max: SecureVersion): Promise<string | null> {
    const [host, port] = this.#endpoint.split(":");
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port: Number(port), ca: this.#ca, minVersion: "TLSv1.2", maxVersion: max }, () => {
        resolve(socket.getProtocol());
        socket.destroy();
      });
      socket.on("error", reject);
    });
  }
}
