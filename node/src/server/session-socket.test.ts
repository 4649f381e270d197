import net from "node:net";
import tls from "node:tls";
import { type Request, RequestFrame, type Response } from "@nexus-federation/proto/request.ts";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import { badBytes } from "../base/testing/bent.ts";
import { noOptions } from "../box/ask.ts";
import { NexusClient } from "../client/client.ts";
import { Authority } from "../transport/authority.ts";
import { socketToFederation } from "../transport/channel.ts";
import { batchFrame } from "../transport/frames.ts";
import { type Heard, say as sayTo } from "../transport/said.fixture.ts";
import { greetingFrame, readResponses, requestsFrame, sessionProtocol } from "../transport/session-frames.ts";
import { DoorRig, tokens } from "./testing/rig.ts";

// The door for a client's stream of requests without gRPC, over real TLS.

const authority = await Authority.create("fed", Date.now());
const credentials = await authority.issue({ kind: "box", id: "a" }, { nowMs: Date.now() });
const trust = { ca: credentials.ca };
let rig: DoorRig;
beforeAll(async () => {
  rig = await DoorRig.start(["a"], { kind: "tls", credentials, clientCertificate: "optional" });
});
afterAll(() => rig.stop());

const read = (id: number, path: string): Request => ({
  id,
  options: noOptions,
  zone: "",
  op: { $case: "read", value: { path, infoOnly: false } },
});
const batch = (...requests: Request[]) => requestsFrame(RequestFrame.encode({ requests }).finish());
const greeting = greetingFrame(tokens.all);

/** Sends bytes and hears until so many answers came, or the box closes. */
function say(parts: Uint8Array[], wanted?: number): Promise<Heard<Response>> {
  const socket = socketToFederation({ trust, federation: "fed", endpoint: rig.endpoint() }, [sessionProtocol]);
  const answersOf = (frame: Buffer) => readResponses(frame)?.responses ?? [];
  return rig.drive(sayTo(socket, parts, { answersOf, wanted }));
}

async function stillServes(): Promise<void> {
  const { answers } = await say([greeting, batch(read(7, "/none"))], 1);
  expect(answers).toMatchObject([{ id: 7, result: { $case: "failure", value: { code: "NOT_FOUND" } } }]);
}

describe("a client's stream without gRPC", () => {
  test("answers each request under its id, those of the first bytes too", async () => {
    const { answers } = await say(
      [Buffer.concat([greeting, batch(read(3, "/a"), read(4, "/b")), batch(read(5, "/c"))])],
      3,
    );

    expect(answers.map(({ id }) => id).sort()).toEqual([3, 4, 5]);
  });

  test("is refused to whom the box does not know, and tells why", async () => {
    for (const token of ["", "wrong", tokens.expired, tokens.foreign]) {
      const { answers, refusal } = await say([greetingFrame(token), batch(read(1, "/a"))]);
      expect(refusal).toMatch(/^UNAUTHENTICATED: /);
      expect(answers).toEqual([]);
    }
  });

  test("gives nobody more rights than the token has", async () => {
    const { answers } = await say([greetingFrame(tokens.reader), batch(read(1, "/private/x"))], 1);

    expect(answers).toMatchObject([{ result: { $case: "failure", value: { code: "DENIED" } } }]);
  });

  test("is refused when no greeting comes in time; asking whether anybody is there is none", async () => {
    for (const parts of [[], [batchFrame(14, [], 0)]])
      expect((await say(parts)).refusal).toBe("DEADLINE: the first frame did not come in time");
  });

  test("is refused with a text that is no UTF-8, which would be another file's name", async () => {
    const bent = Buffer.from(batch(read(15, "/ab")));
    bent[bent.indexOf("b")] = 0xff;

    const { answers, refusal } = await say([greeting, bent]);
    expect([answers, refusal]).toEqual([[], expect.stringMatching(/^INVALID: .*not UTF-8/)]);
    await stillServes();
  });

  test("begins with a greeting of a bounded size", async () => {
    expect((await say([batch(read(1, "/a"))])).refusal).toBe("INVALID: the first frame must be a greeting");
    expect(await say([greetingFrame("x".repeat(17_000))])).toEqual({ answers: [], refusal: "" });
    await stillServes();
  });

  test("ends with a second greeting, a frame that is no batch, and one above the limit", async () => {
    for (const second of [greeting, batchFrame(9, [], 0)])
      expect((await say([greeting, second])).refusal).toBe("INVALID: a frame that is no batch of requests");
    expect((await say([greeting, batchFrame(2, [Buffer.from([0xff])], 1)])).refusal).toMatch(/^INVALID: a batch/);
    await say([greeting, Buffer.from([0x12, 0xff, 0xff, 0xff, 0x7f])]);
    await stillServes();
  });

  test("random and bent bytes end their own connection at most", async () => {
    const random = seededRandom(4);
    for (let i = 0; i < 20; i++) await say([random.bytes(1 + Math.floor(random.unit() * 80))], 0);
    const frames = Buffer.concat([greeting, batch(read(3, "/some/file"))]);
    await fc.assert(
      fc.asyncProperty(badBytes(frames), fc.boolean(), async (bytes, isGreeted) => {
        const { answers } = await say(isGreeted ? [greeting, bytes] : [bytes], 0);
        for (const { result } of answers) expect(result).toBeDefined();
      }),
      { numRuns: 120, seed: 6 },
    );
    await stillServes();
  });
});

describe("the client", () => {
  const settings = () => ({ federation: "fed", endpoints: [rig.endpoint()], token: tokens.all, ca: credentials.ca });

  test("speaks it where the box does, and sends and fetches content beside it", async () => {
    const client = new NexusClient(settings());
    await rig.drive(client.put("/small", "x"));
    await rig.drive(client.put("/large", Buffer.alloc(100_000, 1)));

    expect(String((await rig.drive(client.get("/small"))).content)).toBe("x");
    expect((await rig.drive(client.get("/large"))).content).toEqual(Buffer.alloc(100_000, 1));
    client.close();
  });

  test("speaks gRPC through a door that knows nothing else", async () => {
    const plain = await DoorRig.start();
    const front = tls.createServer({ cert: credentials.certificate, key: credentials.key, ALPNProtocols: ["h2"] });
    const agreed: unknown[] = [];
    front.on("secureConnection", (socket) => {
      agreed.push(socket.alpnProtocol);
      const behind = net.connect(plain.port(), "127.0.0.1");
      socket.on("error", () => behind.destroy()).on("close", () => behind.destroy());
      behind.on("error", () => socket.destroy());
      socket.pipe(behind).pipe(socket);
    });
    await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
    const { port } = front.address() as net.AddressInfo;

    const client = new NexusClient({ ...settings(), endpoints: [`127.0.0.1:${port}`] });
    await plain.drive(client.put("/old", "x"));

    expect(new Set(agreed)).toEqual(new Set(["h2"]));
    client.close();
    front.close();
    await plain.stop();
  });

  test("tells a wrong token and a stranger's certificate apart", async () => {
    const other = await Authority.create("fed", Date.now());
    const bad = [
      new NexusClient({ ...settings(), token: "wrong" }),
      new NexusClient({ ...settings(), ca: (await other.issue({ kind: "box", id: "a" }, { nowMs: Date.now() })).ca }),
    ];

    await expect(rig.drive(bad[0]!.get("/x"))).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await expect(rig.drive(bad[1]!.get("/x"))).rejects.toMatchObject({ code: "INVALID" });
    for (const client of bad) client.close();
  });

  test.each([
    ["download", (client: NexusClient) => client.download("/x")],
    ["upload", (client: NexusClient) => client.upload("/x", [Buffer.alloc(9)])],
  ])("tells a wrong token when the first call is a %s, which goes beside the stream", async (_name, call) => {
    const client = new NexusClient({ ...settings(), token: "wrong" });

    await expect(rig.drive<unknown>(call(client))).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    client.close();
  });
});
