// One port of a box. grpc-js's own listener takes TLS 1.2, knows no revocation list and refuses certificates without a
// host name, so the listener is ours (node:tls) and hands each accepted socket to grpc-js, to the HTTP server or to the
// streams of frames between boxes: by what the TLS handshake agreed on (ALPN), and on a plain loopback listener by the
// first bytes.

import { constants } from "node:crypto";
import type { Server as HttpServer } from "node:http";
import type { Http2Server } from "node:http2";
import net from "node:net";
import tls from "node:tls";
import { type ConnectionInjector, Server, ServerCredentials } from "@grpc/grpc-js";
import { assert, must } from "../base/assert.ts";
import { messageOf, NexusError } from "../base/errors.ts";
import { type Credentials, contextOptions } from "./credentials.ts";
import { grpcMessageBytesMax } from "./ports.ts";

export interface ListenerSettings {
  host: string;
  /** 0 takes a free one; `start` tells which. */
  port: number;
  /** `plain` has no TLS and is refused beyond loopback. */
  security: { kind: "tls"; credentials: Credentials; clientCertificate: "required" | "optional" } | { kind: "plain" };
  /** Open connections; further ones are closed at once. */
  connectionsMax: number;
  /** Time for the TLS handshake and, without TLS, for the first bytes. */
  handshakeTimeoutMs: number;
  /** A gRPC connection without any call is closed after this time; 0 = never. */
  idleMs: number;
  /** Calls at once on one gRPC connection. */
  callsPerConnectionMax: number;
}

export const peerListenerLimits = {
  connectionsMax: 1024,
  handshakeTimeoutMs: 5_000,
  idleMs: 0,
  callsPerConnectionMax: 256,
};
export const clientListenerLimits = {
  connectionsMax: 10_000,
  handshakeTimeoutMs: 5_000,
  idleMs: 300_000,
  callsPerConnectionMax: 1024,
};

/** No session tickets: a resumed session would not be asked for a certificate that has expired since. */
const serverTls = { minVersion: "TLSv1.3", secureOptions: constants.SSL_OP_NO_TICKET } as const;

/** Times in milliseconds; node looks every connectionsCheckingInterval (an option of the HTTP server, 30 s). */
const httpLimits = {
  headersTimeout: 10_000,
  requestTimeout: 120_000,
  keepAliveTimeout: 60_000,
  maxHeadersCount: 100,
};

export interface ListenerNeeds {
  /** Takes HTTP/1.1 connections; without one they are closed. It must not listen itself. */
  http?: HttpServer;
  /** Told why a connection was refused; for logs and counters. */
  refused?: (reason: string) => void;
}

/** Bytes a sender may have under way to us on one stream: enough for a fast long line. */
const flowControlWindow = 4 * 1024 * 1024;
/** A longer list of request headers is refused. */
const headerBytesMax = 16 * 1024;
/** How long `stop` waits for calls to end. */
const stopGraceMs = 1_000;
const http2Preface = "PRI * HTTP/2.0";

export class Listener {
  /** Add services before `start`. */
  readonly grpc: Server;
  readonly #settings: ListenerSettings;
  readonly #needs: ListenerNeeds;
  readonly #injector: ConnectionInjector;
  /** Takers of connections by the ALPN name that the TLS handshake agreed on. */
  readonly #frames = new Map<string, (socket: tls.TLSSocket) => void>();
  readonly #sockets = new Set<net.Socket>();
  /** Below the TLS sockets. */
  readonly #raw = new Set<net.Socket>();
  readonly #listening: net.Server;
  #revocations: string | undefined;
  #stopping: Promise<void> | undefined;

  constructor(settings: ListenerSettings, needs: ListenerNeeds = {}) {
    this.#settings = settings;
    this.#needs = needs;
    if (settings.security.kind === "plain" && !isLoopback(settings.host)) {
      throw new NexusError("INVALID", `a listener without TLS is allowed on loopback only, not on ${settings.host}`);
    }
    this.grpc = new Server({
      "grpc.max_receive_message_length": grpcMessageBytesMax,
      "grpc.max_send_message_length": grpcMessageBytesMax,
      "grpc.max_concurrent_streams": settings.callsPerConnectionMax,
      "grpc.max_metadata_size": headerBytesMax,
      "grpc.enable_channelz": 0,
      "grpc.keepalive_time_ms": 30_000,
      "grpc.keepalive_timeout_ms": 10_000,
      ...(settings.idleMs > 0 ? { "grpc.max_connection_idle_ms": settings.idleMs } : {}),
    });
    this.#injector = this.grpc.createConnectionInjector(ServerCredentials.createInsecure());
    widenWindows(this.grpc);
    this.#listening = settings.security.kind === "tls" ? this.#tlsServer(settings.security) : this.#plainServer();
    this.#listening.maxConnections = settings.connectionsMax;
    this.#listening.on("drop", () => needs.refused?.("too many connections"));
    if (needs.http !== undefined) limitHttp(needs.http);
  }

  /** Connections that ask for `protocol` by ALPN go to `take`. Before `start`. */
  onFrames(protocol: string, take: (socket: tls.TLSSocket) => void): void {
    this.#frames.set(protocol, take);
  }

  /** The port it listens on. Throws INVALID when it cannot. */
  start(): Promise<number> {
    return new Promise((resolve, reject) => {
      const { host, port } = this.#settings;
      this.#listening.once("error", (cause) => {
        reject(new NexusError("INVALID", `cannot listen on ${host}:${port}: ${messageOf(cause)}`, { cause }));
      });
      this.#listening.listen({ host, port }, () => {
        this.#listening.removeAllListeners("error");
        this.#listening.on("error", (error) => this.#needs.refused?.(messageOf(error)));
        resolve((this.#listening.address() as net.AddressInfo).port);
      });
    });
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /**
   * New connections use these. When the revocation list changed, the open ones are closed so that they are checked
   * again: their owners reconnect at once.
   */
  reload(credentials: Credentials): void {
    assert(this.#listening instanceof tls.Server, "only a TLS listener reloads certificates");
    this.#listening.setSecureContext({ ...contextOptions(credentials), ...serverTls });
    if (credentials.crl === this.#revocations) return;
    this.#revocations = credentials.crl;
    this.#destroyAll();
  }

  /** Takes no more connections, lets calls end for a moment, then closes everything. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= new Promise((resolve) => {
      const force = setTimeout(() => {
        this.#destroyAll();
      }, stopGraceMs);
      this.#listening.close(() => {
        clearTimeout(force);
        this.grpc.forceShutdown();
        resolve();
      });
      this.#injector.drain(stopGraceMs);
      this.#needs.http?.closeIdleConnections();
    });
    return this.#stopping;
  }

  #tlsServer(security: ListenerSettings["security"] & { kind: "tls" }): tls.Server {
    this.#revocations = security.credentials.crl;
    const http = this.#needs.http !== undefined;
    const server = tls.createServer({
      ...contextOptions(security.credentials),
      ...serverTls,
      requestCert: true,
      rejectUnauthorized: security.clientCertificate === "required",
      handshakeTimeout: this.#settings.handshakeTimeoutMs,
      // Who can do HTTP/1.1 (browsers, curl) wants the HTTP API; gRPC clients offer h2 alone.
      ALPNCallback: ({ protocols }) => {
        const frames = protocols.find((protocol) => this.#frames.has(protocol));
        if (frames !== undefined) return frames;
        return http && protocols.includes("http/1.1") ? "http/1.1" : protocols.includes("h2") ? "h2" : undefined;
      },
    });
    // Before its handshake is done a socket is known only here; node does not close it when the handshake times out.
    server.on("connection", (socket: net.Socket) => {
      this.#raw.add(socket);
      socket.once("close", () => this.#raw.delete(socket));
    });
    server.on("tlsClientError", (error, socket) => this.#refuse(socket, messageOf(error)));
    server.on("secureConnection", (socket) => {
      this.#track(socket);
      const take = this.#frames.get(socket.alpnProtocol || "");
      if (socket.getPeerX509Certificate() !== undefined && !socket.authorized) {
        this.#refuse(socket, `client certificate: ${messageOf(socket.authorizationError)}`);
      } else if (take !== undefined) {
        take(socket);
      } else if (socket.alpnProtocol === "h2") {
        this.#injector.injectConnection(socket);
      } else {
        this.#giveHttp(socket);
      }
    });
    return server;
  }

  #plainServer(): net.Server {
    return net.createServer((socket) => {
      this.#track(socket);
      socket.setTimeout(this.#settings.handshakeTimeoutMs, () => this.#refuse(socket, "silent connection"));
      socket.once("data", (first) => {
        socket.pause();
        socket.removeAllListeners("timeout");
        socket.setTimeout(0);
        socket.unshift(first);
        // A fragment shorter than the preface is judged by what is there: no HTTP method starts with "PRI ".
        const isHttp2 = http2Preface.startsWith(first.toString("latin1", 0, http2Preface.length)) && first.length >= 3;
        if (isHttp2) this.#injector.injectConnection(socket);
        else this.#giveHttp(socket);
      });
    });
  }

  #giveHttp(socket: net.Socket): void {
    if (this.#needs.http === undefined) {
      this.#refuse(socket, "no HTTP on this port");
      return;
    }
    this.#needs.http.emit("connection", socket);
    socket.resume();
  }

  #track(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#sockets.delete(socket));
  }

  /** Also those whose handshake is under way. */
  #destroyAll(): void {
    for (const socket of [...this.#sockets, ...this.#raw]) socket.destroy();
  }

  #refuse(socket: net.Socket, reason: string): void {
    this.#needs.refused?.(reason);
    socket.destroy();
  }
}

/**
 * grpc-js 1.14 offers no option for the windows of a server, and HTTP/2's 64 KiB would bound a long line to 64 KiB a
 * round trip. Its HTTP/2 server is reached through a private field; a version without it fails here, at start.
 */
function widenWindows(grpc: Server): void {
  const { http2Servers } = grpc as unknown as { http2Servers: Map<Http2Server, unknown> };
  const [http2Server] = must(http2Servers, "grpc-js's table of HTTP/2 servers").keys();
  must(http2Server, "grpc-js's HTTP/2 server").updateSettings({ initialWindowSize: flowControlWindow });
  http2Server?.on("session", (session) => session.setLocalWindowSize(flowControlWindow));
}

/**
 * Bounds a slow or endless sender of headers and requests. Node starts to watch these limits only when the server itself
 * listens, which it never does here, hence the event.
 */
function limitHttp(server: HttpServer): void {
  assert(!server.listening, "the HTTP server does not listen itself");
  Object.assign(server, httpLimits);
  server.emit("listening");
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (net.isIPv4(host) && host.startsWith("127."));
}
