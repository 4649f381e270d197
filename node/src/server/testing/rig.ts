// Doors of a real box on real loopback sockets, over the box room's federation in virtual time: `drive` lets both times
// go on together until something has come.
import { createHash } from "node:crypto";
import { once } from "node:events";
import http, { type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http";
import type { AccessTable, Grant } from "../../auth/checks.ts";
import { must } from "../../base/assert.ts";
import { Federation } from "../../box/testing/federation.ts";
import { clientListenerLimits, type Listener, type ListenerSettings } from "../../transport/listener.ts";
import { TableAuthenticator } from "../authenticator.ts";
import { clientDoors } from "../doors.ts";

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into JSON of any form
  json: any;
}

export interface Ask {
  headers?: OutgoingHttpHeaders;
  body?: string | Uint8Array | AsyncIterable<Uint8Array>;
  token?: string | null;
}

export const tokens = {
  all: "token-of-all",
  reader: "token-of-reader",
  expired: "token-of-old",
  foreign: "token-of-b",
};

const everything: Grant[] = [{ prefix: "/", rights: ["admin"] }];
const table: AccessTable = {
  federation: "fed",
  tokens: [
    record("all", tokens.all, everything),
    record("reader", tokens.reader, [{ prefix: "/public", rights: ["read"] }]),
    { ...record("old", tokens.expired, everything), expiresAtMs: 1 },
    { ...record("other", tokens.foreign, everything), federation: "other" },
  ],
  users: [],
};

function record(name: string, token: string, grants: readonly Grant[]) {
  return { name, federation: "fed", sha256: createHash("sha256").update(token).digest(), grants };
}

export class DoorRig {
  readonly federation: Federation;
  readonly #doors = new Map<string, { listener: Listener; close(): Promise<void>; port: number }>();
  readonly #agent = new http.Agent({ keepAlive: true });
  readonly #security: ListenerSettings["security"];

  constructor(federation: Federation, security: ListenerSettings["security"]) {
    this.federation = federation;
    this.#security = security;
  }

  /** Boxes (a name with w first is a witness) with one zone for every path, and doors on the data boxes. */
  static async start(
    names: string[] = ["a"],
    security: ListenerSettings["security"] = { kind: "plain" },
  ): Promise<DoorRig> {
    const federation = await Federation.start(names, { system: names.length });
    const rig = new DoorRig(federation, security);
    const mode = names.length > 1 ? "strong_ha" : "strong";
    await federation.zone({ zone: "all", pattern: "/**", mode, copiesDeclared: Math.min(2, names.length) }, names);
    for (const name of names) if (!name.startsWith("w")) await rig.open(name);
    return rig;
  }

  async open(name: string): Promise<void> {
    const { box } = this.federation.node(name);
    const needs = {
      box,
      authenticator: new TableAuthenticator(
        () => table,
        () => 1_000,
      ),
      audit: () => {},
      metrics: async () => "# HELP up whether it is\nup 1\n",
      refused: () => {},
      defer: (fn: () => void) => void setImmediate(fn),
      version: "1.2.3",
      clock: this.federation.cluster.clock,
    };
    const settings = { ...clientListenerLimits, host: "127.0.0.1", port: 0, security: this.#security };
    const doors = await clientDoors(needs, settings);
    this.#doors.set(name, { ...doors, port: await doors.listener.start() });
  }

  port(name = "a"): number {
    return must(this.#doors.get(name), `door of ${name}`).port;
  }
  endpoint(name = "a"): string {
    return `127.0.0.1:${this.port(name)}`;
  }

  /** The box lives on; its clients lose it. */
  async closeDoor(name: string): Promise<void> {
    const door = must(this.#doors.get(name), `door of ${name}`);
    this.#doors.delete(name);
    await Promise.all([door.listener.stop(), door.close()]);
  }

  /** Virtual milliseconds pass with turns of the real event loop until it settles. */
  async drive<T>(promise: Promise<T>, virtualMs = 200_000): Promise<T> {
    let over = false;
    const done = () => {
      over = true;
    };
    promise.then(done, done);
    for (let ms = 0; !over && ms < virtualMs; ms++) await this.turn();
    if (!over) throw new Error(`nothing came within ${virtualMs} ms of virtual time`);
    return promise;
  }

  async turn(virtualMs = 1): Promise<void> {
    await this.federation.cluster.run(virtualMs);
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Both times go on, the virtual one no faster than the real one: no grant lapses because the machine is fast. */
  async inStep(realMs: number): Promise<void> {
    const end = performance.now() + realMs;
    while (performance.now() < end) {
      await this.turn();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** One HTTP request whose target goes out byte for byte. */
  ask(method: string, target: string, what: Ask = {}, box = "a"): Promise<Answer> {
    return this.drive(this.send(method, target, what, box));
  }

  send(method: string, target: string, what: Ask = {}, box = "a"): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = this.request(method, target, what, box);
      request.once("response", (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.once("error", reject);
        response.once("end", () => {
          const body = Buffer.concat(parts);
          const text = body.toString();
          const { headers, statusCode: status = 0 } = response;
          const json: unknown = text.startsWith("{") ? tryJson(text) : undefined;
          resolve({ status, headers, body, text, json });
        });
      });
      request.once("error", reject);
      void sendBody(request, what.body);
    });
  }

  request(method: string, target: string, what: Ask, box = "a"): http.ClientRequest {
    const token = what.token === undefined ? tokens.all : what.token;
    const headers = { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...what.headers };
    return http.request({ port: this.port(box), host: "127.0.0.1", agent: this.#agent, method, path: target, headers });
  }

  json(method: string, target: string, body: unknown, what: Ask = {}): Promise<Answer> {
    const headers = { "content-type": "application/json", ...what.headers };
    return this.ask(method, target, { ...what, body: JSON.stringify(body), headers });
  }

  async stop(): Promise<void> {
    this.#agent.destroy();
    for (const { listener, close } of this.#doors.values()) await Promise.all([listener.stop(), close()]);
    for (const node of this.federation.nodes.values()) node.stop();
  }
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function sendBody(request: http.ClientRequest, body: Ask["body"]): Promise<void> {
  if (body === undefined || typeof body === "string" || body instanceof Uint8Array) return void request.end(body);
  for await (const part of body) {
    if (request.destroyed) return;
    if (!request.write(part)) await once(request, "drain").catch(() => {});
  }
  request.end();
}
