import type { AddressInfo } from "node:net";
import tls from "node:tls";
import { afterEach, expect, test } from "vitest";
import { Authority } from "./authority.ts";
import { type Credentials, contextOptions } from "./credentials.ts";

const nowMs = Date.now();
const servers: tls.Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const old = await Authority.create("acme", nowMs);
const young = await Authority.create("acme", nowMs, "2");
const both = () => ({ ca: `${old.certificatePem}\n${young.certificatePem}`, crl: `${old.crlPem}\n${young.crlPem}` });
const leafOf = (authority: Authority, id: string) => authority.issue({ kind: "box", id }, { nowMs });

async function serving(own: Credentials): Promise<number> {
  const server = tls.createServer(
    { ...contextOptions(own), minVersion: "TLSv1.3", requestCert: true, rejectUnauthorized: true },
    (socket) => socket.end("welcome"),
  );
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return (server.address() as AddressInfo).port;
}

/** What the client is told, or why it is not. */
function greeting(port: number, own: Credentials): Promise<string> {
  return new Promise((resolve) => {
    const socket = tls.connect({ host: "127.0.0.1", port, ...contextOptions(own), minVersion: "TLSv1.3" });
    let said = "";
    socket.on("data", (text: Buffer) => (said += text.toString()));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on("close", () => resolve(said));
  });
}

test("while both authorities are trusted, members with leaves of either understand each other", async () => {
  const [a, b] = [await leafOf(old, "a"), await leafOf(young, "b")];

  for (const server of [a, b]) {
    const port = await serving({ ...server, ...both() });
    for (const client of [a, b]) expect(await greeting(port, { ...client, ...both() })).toBe("welcome");
  }
});

test("a revocation of either authority holds while both are trusted", async () => {
  const port = await serving({ ...(await leafOf(old, "a")), ...both() });
  for (const authority of [old, young]) {
    const bad = await leafOf(authority, "bad");
    await authority.revoke(bad.certificate, nowMs);
  }
  const strict = await serving({ ...(await leafOf(old, "a")), ...both() });

  for (const authority of [old, young]) {
    const bad = await leafOf(authority, "bad-later");
    expect(await greeting(port, { ...bad, ...both() })).toBe("welcome");
    await authority.revoke(bad.certificate, nowMs);
    const stricter = await serving({ ...(await leafOf(old, "a")), ...both() });
    expect(await greeting(stricter, { ...bad, ...both() })).not.toBe("welcome");
  }
  expect(await greeting(strict, { ...(await leafOf(young, "good")), ...both() })).toBe("welcome");
});

test("once the old authority is dropped its leaves open nothing", async () => {
  const port = await serving(await leafOf(young, "a"));

  expect(await greeting(port, { ...(await leafOf(old, "b")), ...both() })).not.toBe("welcome");
  expect(await greeting(port, { ...(await leafOf(young, "c")), ...both() })).toBe("welcome");
});
