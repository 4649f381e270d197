import { createServer as createHttpServer, request as httpRequest } from "node:http";
import { connect as http2Connect } from "node:http2";
import { request as httpsRequest } from "node:https";
import net from "node:net";
import tls from "node:tls";
import { Client, credentials as grpcCredentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { Authority } from "./authority.ts";
import { channelOptions, clientToBox, credentialsToFederation } from "./channel.ts";
import { type Credentials, peerIdentity } from "./credentials.ts";
import { boxCredentials, peerSettings } from "./federation.fixture.ts";
import { clientListenerLimits, Listener, type ListenerSettings } from "./listener.ts";
import { rawMethod } from "./raw.ts";
import { callIdentity } from "./sessions.ts";

const nowMs = Date.now();
const dayMs = 86_400_000;
const authority = await Authority.create("acme", nowMs);
const stranger = await Authority.create("acme", nowMs);
const server = await boxCredentials(authority, "b");
const user = await authority.issue({ kind: "user", id: "ann" }, { nowMs });

const echo = rawMethod("/test/echo", { request: false, response: false });
const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function start(
  settings: ListenerSettings,
  http = false,
  headersTimeout = 10_000,
): Promise<{ port: number; listener: Listener; refused: string[] }> {
  const refused: string[] = [];
  const httpServer = createHttpServer({ connectionsCheckingInterval: 50 }, (request, response) => {
    const identity = request.socket instanceof tls.TLSSocket ? peerIdentity(request.socket) : undefined;
    request.resume().on("end", () => response.end(`http ${request.httpVersion} ${identity?.id ?? "nobody"}`));
  });
  const listener = new Listener(settings, { http: http ? httpServer : undefined, refused: (why) => refused.push(why) });
  listener.grpc.addService(
    { echo },
    {
      echo: (call: Parameters<typeof callIdentity>[0] & { request: Buffer }, reply: (e: null, r: Buffer) => void) => {
        const who = callIdentity(call);
        reply(null, Buffer.from(`${who?.kind ?? "no"} ${who?.id ?? "body"} ${call.request.length}`));
      },
    },
  );
  httpServer.headersTimeout = headersTimeout;
  const port = await listener.start();
  stops.push(() => listener.stop());
  return { port, listener, refused };
}

function call(client: Client, bytes = Buffer.from("hi")): Promise<string> {
  return new Promise((resolve) => {
    const done = (error: ServiceError | null, reply?: Buffer) => {
      client.close();
      resolve(error === null ? String(reply) : `${status[error.code]} ${error.details}`);
    };
    const { path, requestSerialize, responseDeserialize } = echo;
    const deadline = { deadline: Date.now() + 5_000 };
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, bytes, new Metadata(), deadline, done);
  });
}

const toB = (port: number, own: Credentials, box = "b") =>
  clientToBox({ own, federation: "acme", box, endpoint: `127.0.0.1:${port}` });

/** What a bare TLS client sees: "open" when the server lets it stay. */
function dial(port: number, options: tls.ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    const socket = tls.connect({
      host: "127.0.0.1",
      port,
      ca: server.ca,
      checkServerIdentity: () => undefined,
      ...options,
    });
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on("close", () => resolve("closed"));
    // TLS 1.3 reports a refused client certificate after the client's own handshake: a pong proves acceptance.
    socket.on("secureConnect", () => socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    socket.on("data", () => {
      socket.destroy();
      resolve("open");
    });
  });
}
const h2 = { ALPNProtocols: ["h2"] };
const material = ({ certificate, key }: Credentials) => ({ cert: certificate, key });

describe("the peer port", () => {
  test("lets a box of the federation in and tells who it is", async () => {
    const { port } = await start(peerSettings(server));

    expect(await call(toB(port, await boxCredentials(authority, "a")))).toBe("box a 2");
    expect(await dial(port, { ...h2, ...material(await boxCredentials(authority, "a")) })).toBe("open");
  });

  test("refuses a caller without a certificate", async () => {
    const { port, refused } = await start(peerSettings(server));

    expect(await dial(port, h2)).not.toBe("open");
    expect(refused.length).toBe(1);
  });

  test("refuses a certificate of another authority, also when it names the same federation", async () => {
    const { port } = await start(peerSettings(server));
    const foreign = await stranger.issue({ kind: "box", id: "a" }, { nowMs });

    expect(await dial(port, { ...h2, ...material(foreign) })).not.toBe("open");
    expect(await call(toB(port, { ...foreign, ca: server.ca, crl: undefined }))).toMatch(/^UNAVAILABLE/);
  });

  test("refuses an expired certificate and one that is not yet valid", async () => {
    const { port } = await start(peerSettings(server));
    const expired = await authority.issue({ kind: "box", id: "a" }, { nowMs: nowMs - 2 * dayMs, lifeMs: dayMs });
    const early = await authority.issue({ kind: "box", id: "a" }, { nowMs: nowMs + dayMs });

    expect(await dial(port, { ...h2, ...material(expired) })).not.toBe("open");
    expect(await dial(port, { ...h2, ...material(early) })).not.toBe("open");
  });

  test("refuses TLS 1.2", async () => {
    const { port } = await start(peerSettings(server));
    const a = await boxCredentials(authority, "a");

    expect(await dial(port, { ...h2, ...material(a), maxVersion: "TLSv1.2" })).not.toBe("open");
  });

  test("refuses a revoked certificate, at once also on connections that are open", async () => {
    const { port, listener } = await start(peerSettings(server));
    const own = await Authority.create("acme", nowMs);
    const b = await boxCredentials(own, "b");
    const a = await boxCredentials(own, "a");
    const c = await boxCredentials(own, "c");
    listener.reload(b);
    const open = tls.connect({
      port,
      host: "127.0.0.1",
      ca: b.ca,
      ...h2,
      ...material(a),
      checkServerIdentity: () => undefined,
    });
    const closed = new Promise((resolve) => open.on("close", resolve));
    open.on("error", () => {});
    await new Promise((resolve) => open.on("secureConnect", resolve));
    open.resume();

    await own.revoke(a.certificate, nowMs);
    listener.reload({ ...b, crl: own.crlPem });

    await closed;
    expect(await dial(port, { ...h2, ca: b.ca, ...material(a) })).not.toBe("open");
    expect(await dial(port, { ...h2, ca: b.ca, ...material(c) })).toBe("open");
  });

  test("takes renewed certificates without a restart", async () => {
    const { port, listener } = await start(peerSettings(server));
    const next = await Authority.create("acme", nowMs);
    const a = await boxCredentials(next, "a");
    expect(await call(toB(port, a))).toMatch(/^UNAVAILABLE/);

    listener.reload(await boxCredentials(next, "b"));

    expect(await call(toB(port, a))).toBe("box a 2");
  });

  test("resumes no TLS session, so that every connection shows its certificate", async () => {
    const { port } = await start(peerSettings(server));
    const a = await boxCredentials(authority, "a");
    const options = { port, host: "127.0.0.1", ca: a.ca, ...h2, checkServerIdentity: () => undefined };
    const first = tls.connect({ ...options, ...material(a) });
    const session = await new Promise<Buffer | undefined>((resolve) => {
      first.on("session", resolve);
      first.on("data", () => setImmediate(() => resolve(undefined)));
    });
    first.destroy();

    expect(await dial(port, { ...h2, session })).not.toBe("open");
  });

  test("takes no HTTP/1.1", async () => {
    const { port } = await start(peerSettings(server));
    const a = await boxCredentials(authority, "a");

    expect(await dial(port, { ALPNProtocols: ["http/1.1"], ...material(a) })).not.toBe("open");
  });
});

describe("the calling side", () => {
  test("refuses a server whose certificate names another box", async () => {
    const { port } = await start(peerSettings(server));
    const a = await boxCredentials(authority, "a");

    expect(await call(toB(port, a, "c"))).toContain("expected spiffe://acme/box/c");
  });

  test("refuses a server that shows a user's certificate, or one of another authority", async () => {
    const a = await boxCredentials(authority, "a");
    const asUser = await start(peerSettings(user));
    const foreign = await start(peerSettings(await boxCredentials(stranger, "b")));

    expect(await call(toB(asUser.port, a, "ann"))).toMatch(/^UNAVAILABLE/);
    expect(await call(toB(foreign.port, a))).toMatch(/^UNAVAILABLE/);
  });

  test("refuses a server that speaks TLS 1.2 only", async () => {
    const old = tls.createServer({ ca: server.ca, ...material(server), maxVersion: "TLSv1.2", ALPNProtocols: ["h2"] });
    old.on("tlsClientError", () => {});
    await new Promise<void>((resolve) => old.listen(0, "127.0.0.1", resolve));
    stops.push(() => void old.close());

    const answer = await call(toB((old.address() as net.AddressInfo).port, await boxCredentials(authority, "a")));

    expect(answer).toMatch(/^UNAVAILABLE/);
  });
});

test("a client with the authority alone reaches any box of the federation, and nobody else", async () => {
  const box = await start(clientSettings());
  const impostor = await start({
    ...clientSettings(),
    security: { kind: "tls", credentials: user, clientCertificate: "optional" },
  });
  const to = (port: number, federation: string) =>
    new Client(`127.0.0.1:${port}`, credentialsToFederation({ ca: server.ca }, federation), channelOptions);

  expect(await call(to(box.port, "acme"))).toBe("no body 2");
  expect(await call(to(box.port, "globex"))).toContain("expected a box of federation globex");
  expect(await call(to(impostor.port, "acme"))).toMatch(/^UNAVAILABLE/);
});

describe("limits of a listener", () => {
  test("a message above 8 MiB is refused, one just below is served", async () => {
    const { port } = await start(peerSettings(server));
    const a = await boxCredentials(authority, "a");
    const wide = { ...channelOptions, "grpc.max_send_message_length": -1 };
    const channel = grpcCredentials.createFromSecureContext(tls.createSecureContext({ ca: a.ca, ...material(a) }), {
      checkServerIdentity: () => undefined,
    });
    const client = () => new Client(`127.0.0.1:${port}`, channel, wide);

    expect(await call(client(), Buffer.alloc(8 * 1024 * 1024 - 100))).toBe(`box a ${8 * 1024 * 1024 - 100}`);
    expect(await call(client(), Buffer.alloc(8 * 1024 * 1024 + 1))).toMatch(/^RESOURCE_EXHAUSTED/);
  });

  test("connections beyond the limit are closed", async () => {
    const { port } = await start({ ...peerSettings(server), connectionsMax: 1 });
    const a = await boxCredentials(authority, "a");
    const first = tls.connect({
      port,
      host: "127.0.0.1",
      ca: a.ca,
      ...h2,
      ...material(a),
      checkServerIdentity: () => undefined,
    });
    await new Promise((resolve) => first.on("secureConnect", resolve));

    expect(await dial(port, { ...h2, ...material(a) })).not.toBe("open");
    first.destroy();
  });

  test("a caller that never finishes the TLS handshake is cut off", async () => {
    const { port } = await start({ ...peerSettings(server), handshakeTimeoutMs: 50 });
    const socket = net.connect(port, "127.0.0.1");
    socket.on("error", () => {});

    await new Promise((resolve) => socket.on("close", resolve));
  });

  test("a caller that sends its HTTP headers too slowly is cut off", async () => {
    const { port } = await start(clientSettings(), true, 200);
    const socket = tls.connect({ port, host: "127.0.0.1", ca: server.ca, ALPNProtocols: ["http/1.1"] });
    socket.on("error", () => {});
    socket.on("secureConnect", () => socket.write("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "));
    let answer = "";
    socket.on("data", (data) => {
      answer += data;
    });

    await new Promise((resolve) => socket.on("close", resolve));
    expect(answer).toContain("408");
  }, 20_000);
});

function clientSettings(): ListenerSettings {
  const security = { kind: "tls", credentials: server, clientCertificate: "optional" } as const;
  return { host: "127.0.0.1", port: 0, security, ...clientListenerLimits };
}

function fetchOver(request: typeof httpRequest, options: object): Promise<string> {
  return new Promise((resolve, reject) => {
    const get = request({ host: "127.0.0.1", path: "/", agent: false, ...options }, (response) => {
      let text = "";
      response.on("data", (data) => {
        text += data;
      });
      response.on("end", () => resolve(text));
    });
    get.on("error", reject);
    get.end();
  });
}

describe("the client port", () => {
  test("carries gRPC and HTTP/1.1, with and without a client certificate", async () => {
    const { port } = await start(clientSettings(), true);
    const anonymous = grpcCredentials.createSsl(Buffer.from(server.ca), null, null, {
      checkServerIdentity: () => undefined,
    });

    expect(await call(toB(port, user))).toBe("user ann 2");
    expect(await call(new Client(`localhost:${port}`, anonymous))).toBe("no body 2");
    expect(await fetchOver(httpsRequest as typeof httpRequest, { port, ca: server.ca })).toBe("http 1.1 nobody");
    expect(await fetchOver(httpsRequest as typeof httpRequest, { port, ca: server.ca, ...material(user) })).toBe(
      "http 1.1 ann",
    );
  });

  test("gives HTTP/1.1 to who can do both, as curl and browsers can", async () => {
    const { port } = await start(clientSettings(), true);
    const socket = tls.connect({ port, host: "127.0.0.1", ca: server.ca, ALPNProtocols: ["h2", "http/1.1"] });
    await new Promise((resolve) => socket.on("secureConnect", resolve));

    expect(socket.alpnProtocol).toBe("http/1.1");
    socket.destroy();
  });

  test("refuses a certificate that does not verify rather than taking its bearer for nobody", async () => {
    const { port, refused } = await start(clientSettings(), true);
    const foreign = await stranger.issue({ kind: "user", id: "ann" }, { nowMs });

    await expect(
      fetchOver(httpsRequest as typeof httpRequest, { port, ca: server.ca, ...material(foreign) }),
    ).rejects.toThrow();
    expect(refused[0]).toContain("client certificate");
  });

  test("without TLS tells gRPC and HTTP apart by the first bytes", async () => {
    const plain: ListenerSettings = { ...clientSettings(), security: { kind: "plain" } };
    const { port } = await start(plain, true);

    expect(await call(new Client(`127.0.0.1:${port}`, grpcCredentials.createInsecure()))).toBe("no body 2");
    expect(await fetchOver(httpRequest, { port })).toBe("http 1.1 nobody");
    const session = http2Connect(`http://127.0.0.1:${port}`);
    await new Promise((resolve) => session.once("remoteSettings", resolve));
    session.destroy();
  });

  test("without TLS is refused beyond loopback", () => {
    const plain: ListenerSettings = { ...clientSettings(), host: "0.0.0.0", security: { kind: "plain" } };

    expect(() => new Listener(plain)).toThrow("a listener without TLS is allowed on loopback only, not on 0.0.0.0");
  });
});

test("a stream's window on the server is wide enough for a long line", async () => {
  const { port } = await start(peerSettings(server));
  const a = await boxCredentials(authority, "a");
  const session = http2Connect(`https://127.0.0.1:${port}`, {
    ca: a.ca,
    ...material(a),
    checkServerIdentity: () => undefined,
  });

  await new Promise((resolve) => session.once("remoteSettings", resolve));

  expect(session.remoteSettings.initialWindowSize).toBe(4 * 1024 * 1024);
  session.destroy();
});
