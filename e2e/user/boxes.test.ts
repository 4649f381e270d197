// A box that goes for good, and one whose certificate must count no more.
import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as tls from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Federation } from "../harness/federation.ts";
import { until } from "../harness/run.ts";
import { box, zone } from "../harness/yaml.ts";

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
  await until("it is listed no more", async () => (await rowOf("nexus-9")) === undefined, 60_000);
  await federation.apply(box("nexus-9"));
  expect((await rowOf("nexus-9"))?.incarnation).toBe(incarnation);
  await federation.ok(["delete", "-f", file]);
  const remove = ["box", "remove", "nexus-9", "--confirm", "nexus-9"];
  const unknown = await federation.nexus(remove);
  expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining("with --disk")]);

  const ran = await federation.ok([...remove, "--disk", incarnation, "--json"]);

  expect(JSON.parse(ran.stdout)).toEqual({ box: "nexus-9", removed: true });
  const again = await federation.apply(box("nexus-9"), 3_000);
  expect(again.code).toBe(1);
  await until("the disk is refused", async () =>
    (await federation.status()).problems.some(({ message }) => message.includes(`incarnation ${incarnation}`)),
  );
  await federation.ok(["delete", "-f", file]);
});

test("a zone whose only box lost its disk for good is taken out when a person says so, and its path serves again", async () => {
  const docs = zone("docs", "/docs/**", "mode: strong, authorityBox: nexus-8");
  await federation.apply(`${box("nexus-8")}---\n${docs}`);
  await federation.ok(["put", "/docs/x"], { input: "lost soon" });
  const { incarnation } = (await rowOf("nexus-8"))!;
  const wipe = (folder: string) => {
    for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  };
  await federation.damage("nexus-8", wipe);
  const destroy = (lost: string) =>
    federation.nexus(["zone", "destroy", "docs", "--confirm", "docs", "--lost", lost, "--json"]);
  await until(
    "its log is not seen",
    async () => !(await federation.status()).groups.some((row) => row.zone === "docs"),
  );
  expect((await destroy("nexus-8")).stderr).toContain("take its resource away first");

  // The box waits for a person too: this is not done soon.
  await federation.nexus(["delete", "-f", federation.file("docs.yaml", docs), "--wait", "2s"]);
  const advice = "nexus zone destroy docs --confirm docs --lost nexus-8";
  await until("the zone says what to do", async () =>
    (await federation.status()).zones.some((row) => row.name === "docs" && row.message.includes(advice)),
  );
  const other = await destroy("nexus-1");
  expect([other.code, other.stderr]).toEqual([1, expect.stringContaining("box nexus-1 answers")]);
  const done = await destroy("nexus-8");

  expect(done, done.stderr).toMatchObject({ code: 0 });
  expect(JSON.parse(done.stdout)).toEqual({ zone: "docs", destroyed: true });
  await federation.ok(["put", "/docs/x"], { input: "anew" });
  expect((await federation.ok(["stat", "/docs/x", "--json"])).stdout).toContain('"root"');
  const back = async () => (await rowOf("nexus-8"))?.incarnation !== incarnation;
  await until("the box is taken in with its new disk", back, 60_000);
});
