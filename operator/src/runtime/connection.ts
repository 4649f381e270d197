import { createHash } from "node:crypto";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent, type RequestOptions } from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import type { Clock } from "@nexus-federation/node/base/clock.ts";
import { KubeError } from "./kube-error.ts";

/** Calls and watches that are open at once; more wait for a connection, inside their deadline. */
const connectionsMax = 128;
/** Rotated tokens and certificates are in use this long after they appeared at the latest. */
const freshMs = 10_000;
/** Idle connections are probed after this long, so that a vanished load balancer is noticed. */
const keepAliveProbeMs = 30_000;

/** Where and as whom to call. */
export interface Endpoint {
  /** With the path prefix of the server, if it has one. */
  url: URL;
  agent: HttpAgent;
  headers: Record<string, string>;
}

/**
 * Credentials and connections from a kubeconfig or the pod's service account. client-node reads and interprets them; this
 * class reads them again from time to time, because a pod's token lives an hour, and keeps connections open between calls.
 */
export class Connection {
  readonly #load: () => KubeConfig;
  readonly #clock: Clock;
  #endpoint: Promise<Endpoint> | undefined;
  #readAtMs = 0;
  #agent: { fingerprint: string; agent: HttpAgent } | undefined;

  /** `load` makes a new configuration from its files each time it is called. */
  constructor(load: () => KubeConfig, clock: Clock) {
    this.#load = load;
    this.#clock = clock;
  }

  /** Throws what reading the configuration throws; the next call tries again. */
  endpoint(): Promise<Endpoint> {
    const nowMs = this.#clock.now();
    if (this.#endpoint !== undefined && nowMs - this.#readAtMs < freshMs) return this.#endpoint;
    this.#readAtMs = nowMs;
    const read = this.#read();
    this.#endpoint = read;
    read.catch(() => {
      if (this.#endpoint === read) this.#endpoint = undefined;
    });
    return read;
  }

  /** The server refused the credentials of `endpoint`: the next call reads them anew. */
  distrust(): void {
    this.#endpoint = undefined;
  }

  close(): void {
    this.#agent?.agent.destroy();
    this.#agent = undefined;
    this.#endpoint = undefined;
  }

  async #read(): Promise<Endpoint> {
    const config = this.#load();
    const cluster = config.getCurrentCluster();
    if (!cluster) {
      throw new KubeError(
        "INVALID",
        "The kubeconfig names no current cluster: kubectl config use-context chooses one.",
      );
    }
    const url = new URL(cluster.server);
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    const headers = Object.fromEntries(
      Object.entries((options.headers ?? {}) as Record<string, unknown>).map(([name, value]) => [
        name.toLowerCase(),
        String(value).trim(),
      ]),
    );
    if (typeof options.auth === "string")
      headers["authorization"] = `Basic ${Buffer.from(options.auth).toString("base64")}`;
    // A proxy's agent is client-node's own; it is made once for each configuration that is read.
    const agent = cluster.proxyUrl ? (options.agent as HttpAgent) : this.#agentFor(url, options);
    return { url, agent, headers };
  }

  /** The same agent, and so the same connections, while address and TLS material stay the same. */
  #agentFor(url: URL, options: RequestOptions): HttpAgent {
    const { ca, cert, key, servername, rejectUnauthorized } = options;
    const tls = { ca, cert, key, servername, rejectUnauthorized };
    const hash = createHash("sha256").update(JSON.stringify([url.origin, servername, rejectUnauthorized]));
    for (const part of [ca, cert, key]) hash.update("|").update(String(part ?? ""));
    const fingerprint = hash.digest("hex");
    if (this.#agent?.fingerprint === fingerprint) return this.#agent.agent;
    const old = this.#agent?.agent;
    const common = { keepAlive: true, keepAliveMsecs: keepAliveProbeMs, maxSockets: connectionsMax };
    const defined = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined));
    const agent = url.protocol === "http:" ? new HttpAgent(common) : new HttpsAgent({ ...common, ...defined });
    this.#agent = { fingerprint, agent };
    // Calls under way end by themselves on the old connections.
    for (const sockets of Object.values(old?.freeSockets ?? {})) for (const socket of sockets ?? []) socket.destroy();
    return agent;
  }
}
