// A box that goes for good, and one whose certificate must count no more.
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as tls from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Federation } from "../harness/federation.ts";
import { until } from "../harness/run.ts";
import { box } from "../harness/yaml.ts";

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
});
afterAll(async () => {
  expect(await federation?.down()).toEqual([]);
});

interface Listed {
  name: string;
  incarnation: string;
  peer: string;
  state: string;
}
async function boxes(): Promise<Listed[]> {
  return JSON.parse((await federation.ok(["box", "ls", "--json"])).stdout) as Listed[];
}
const rowOf = async (name: string) => (await boxes()).find((row) => row.name === name);

/** What the peer port of a box says to who shows these. */
function greets(peer: string, shown: { cert: string; key: string; ca: string }): Promise<boolean> {
  const [host = "", port = ""] = peer.split(":");
  return new Promise((resolve) => {
    const options = { host, port: Number(port), ...shown, ALPNProtocols: ["h2"], checkServerIdentity: () => undefined };
    const socket = tls.connect(options);
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    // The server's first frame comes once it has checked the certificate.
    socket.once("data", () => settle(true));
    socket.on("error", () => settle(false));
    socket.on("close", () => settle(false));
  });
}

function credentials(name: string): { cert: string; key: string; ca: string } {
  const read = (file: string) => readFileSync(join(federation.dir, "certs", name, file), "utf8");
  return { cert: read("tls.crt"), key: read("tls.key"), ca: read("ca.crt") };
}

test("a revoked certificate opens nothing any more, and its box goes on with another one", async () => {
  const { peer = "" } = (await rowOf("nexus-2")) ?? {};
  const stolen = credentials("nexus-1");
  expect(await greets(peer, stolen)).toBe(true);

  const ran = await federation.ok(["box", "revoke", "nexus-1", "--json"]);

  expect(JSON.parse(ran.stdout)).toEqual({ box: "nexus-1", revoked: true });
  const own = credentials("nexus-1");
  expect(new X509Certificate(own.cert).serialNumber).not.toBe(new X509Certificate(stolen.cert).serialNumber);
  await until("nexus-2 takes the former certificate no more", async () => !(await greets(peer, stolen)), 60_000);
  expect(await greets(peer, own)).toBe(true);
  await federation.whole();
  await federation.client().put("/after", Buffer.from("x"), { minCopies: 2 });
  expect((await federation.nexus(["box", "revoke", "nobody"])).code).toBe(1);
});

test("a box whose resource is gone is removed for good, one that is declared is not", async () => {
  await federation.apply(box("nexus-9"));
  const { incarnation } = await until("nexus-9 is registered", () => rowOf("nexus-9"), 60_000);
  expect((await federation.nexus(["box", "remove", "nexus-9", "--confirm", "nexus-8"])).code).toBe(2);
  const declared = await federation.nexus(["box", "remove", "nexus-9", "--confirm", "nexus-9"]);
  expect([declared.code, declared.stderr]).toEqual([1, expect.stringContaining("is declared")]);
  const file = federation.file("nexus-9.yaml", box("nexus-9"));
  await federation.ok(["delete", "-f", file]);
  await until("its process is gone", async () => (await rowOf("nexus-9"))?.state === "removed", 60_000);

  const ran = await federation.ok(["box", "remove", "nexus-9", "--confirm", "nexus-9", "--json"]);

  expect(JSON.parse(ran.stdout)).toEqual({ box: "nexus-9", removed: true });
  expect(incarnation).toMatch(/^[0-9a-f]{32}$/);
  await until("it is listed no more", async () => (await rowOf("nexus-9")) === undefined, 60_000);
});
