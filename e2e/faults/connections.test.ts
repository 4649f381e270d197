// Who may not come in, at the doors of a running box: each is turned away, and the federation goes on.
import net from "node:net";
import { type ConnectionOptions, connect } from "node:tls";
import { FrameWriter } from "@nexus-federation/node/group/wire.ts";
import { message } from "@nexus-federation/node/raft/messages.ts";
import { Authority } from "@nexus-federation/node/transport/authority.ts";
import type { Credentials } from "@nexus-federation/node/transport/credentials.ts";
import { TlsNetwork } from "@nexus-federation/node/transport/network.ts";
import { systemClock, systemRandom } from "@nexus-federation/node/transport/system-clock.ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Federation } from "../harness/federation.ts";
import { pause, until } from "../harness/run.ts";

const nowMs = Date.now();
const dayMs = 86_400_000;
const box = "nexus-1";
const foreignTerm = 1_000_000;
let federation: Federation;
let name: string;
let authority: Authority;
let peer: { host: string; port: number };

beforeAll(async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
  authority = await Authority.load(federation.folder.authority);
  name = federation.context().federation;
  const [host = "", port] = (await federation.box(box)).peer.split(":");
  peer = { host, port: Number(port) };
});
afterAll(async () => {
  expect(await federation?.down()).toEqual([]);
});

const material = ({ certificate, key }: Credentials) => ({ cert: certificate, key });

/** "in" when the peer port answers what only those get an answer to who were let in. */
function dialled(options: ConnectionOptions): Promise<"in" | "out"> {
  return new Promise((resolve) => {
    const all = { ...peer, rejectUnauthorized: false, ALPNProtocols: ["h2"], ...options };
    const socket = connect(all, () => socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"));
    socket.on("data", () => {
      socket.destroy();
      resolve("in");
    });
    socket.on("error", () => resolve("out"));
    socket.on("close", () => resolve("out"));
  });
}

describe("the port of peers", () => {
  test("lets a box of this federation in", async () => {
    expect(await dialled(material(await authority.issue({ kind: "box", id: "nexus-2" }, { nowMs })))).toBe("in");
  });

  test("turns away who shows no certificate", async () => {
    expect(await dialled({})).toBe("out");
  });

  test("turns away who shows one of another authority for the same federation", async () => {
    const other = await Authority.create(name, nowMs);
    expect(await dialled(material(await other.issue({ kind: "box", id: "nexus-2" }, { nowMs })))).toBe("out");
  });

  test("turns away who shows one that has expired", async () => {
    const old = await authority.issue({ kind: "box", id: "nexus-2" }, { nowMs: nowMs - 2 * dayMs, lifeMs: dayMs });
    expect(await dialled(material(old))).toBe("out");
  });

  test("turns away TLS 1.2", async () => {
    const good = await authority.issue({ kind: "box", id: "nexus-2" }, { nowMs });
    expect(await dialled({ ...material(good), maxVersion: "TLSv1.2" })).toBe("out");
  });

  test.each([
    { who: "a user's certificate", kind: "user", id: "nexus-2", says: "nexus-2" },
    { who: "another box's certificate than it says", kind: "box", id: "nexus-3", says: "nexus-2" },
    { who: "a valid box that is no member", kind: "box", id: "stranger", says: "stranger" },
  ] as const)("hears nothing of logs from $who", async ({ kind, id, says }) => {
    const credentials = await authority.issue({ kind, id }, { nowMs });
    const before = await federation.group();
    const network = networkOf(credentials, says);
    const { incarnation } = await federation.box(box);
    network.onLink("raft", { up: () => {}, down: () => {}, frame: () => {} });
    const endpoint = `${peer.host}:${peer.port}`;
    network.setPeer({ box, endpoint, incarnation: Buffer.from(incarnation, "hex"), services: ["raft"] });
    try {
      // Whoever hears it takes over its term: no leader outlives it.
      const frame = new FrameWriter();
      const heard = { ...message("MsgHeartbeat", 1), from: 2, term: foreignTerm };
      const { log, generation } = before;
      frame.add({ log, generation, quiesce: false, host: undefined, conf: Buffer.alloc(0), message: heard });
      const bytes = frame.take();
      for (let i = 0; i < 20; i++) {
        if (network.isUp("raft", box)) network.send("raft", box, bytes);
        await federation.client().put("/connections/alive", String(i));
      }
      expect((await federation.group()).term).toBeLessThan(foreignTerm);
    } finally {
      await network.stop();
    }
  });
});

function networkOf(credentials: Credentials, says: string): TlsNetwork {
  const self = { federation: name, box: says, incarnation: Buffer.alloc(16, 9), featureLevel: 1, version: "0" };
  return new TlsNetwork({ clock: systemClock, random: systemRandom, self, credentials: () => credentials });
}

describe("the port of clients", () => {
  const opened: net.Socket[] = [];
  afterAll(() => {
    for (const socket of opened) socket.destroy();
  });

  /** So many connections that say nothing, or begin a handshake and never end it. */
  async function open(count: number, first: Buffer): Promise<{ closed: () => number }> {
    const [host = "", port] = (await federation.box(box)).grpc.split(":");
    let closed = 0;
    for (let i = 0; i < count; i++) {
      const socket = net.connect(Number(port), host);
      opened.push(socket);
      socket.on("error", () => {});
      socket.on("close", () => closed++);
      socket.resume();
      if (first.length > 0) socket.write(first);
      if (i % 200 === 199) await pause(20);
    }
    return { closed: () => closed };
  }

  test("hangs up on those who are silent, or speak too slowly, and serves the others meanwhile", async () => {
    const client = await federation.clientOf(box);
    await client.put("/connections/before", "x");
    const silent = await open(1000, Buffer.alloc(0));
    const slow = await open(1000, Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]));

    await client.put("/connections/meanwhile", "x");
    await until("all are hung up on", () => silent.closed() === 1000 && slow.closed() === 1000, 90_000);
    await client.put("/connections/after", "x");
    expect((await federation.box(box)).restarts).toBe(0);
  });
});
