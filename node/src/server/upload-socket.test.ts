import type { Response } from "@nexus-federation/proto/request.ts";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import { badBytes } from "../base/testing/bent.ts";
import { NexusClient } from "../client/client.ts";
import { write } from "../client/operations.ts";
import { Authority } from "../transport/authority.ts";
import { socketToFederation } from "../transport/channel.ts";
import { batchFrame } from "../transport/frames.ts";
import { type Heard, say as sayTo } from "../transport/said.fixture.ts";
import {
  readUploadFrame,
  uploadData,
  uploadEnd,
  uploadGreeting,
  uploadHeader,
  uploadsProtocol,
} from "../transport/upload-frames.ts";
import { DoorRig, tokens } from "./testing/rig.ts";

// The door for uploads without gRPC, over real TLS.

const authority = await Authority.create("fed", Date.now());
const credentials = await authority.issue({ kind: "box", id: "a" }, { nowMs: Date.now() });
const trust = { ca: credentials.ca };
let rig: DoorRig;
let client: NexusClient;
beforeAll(async () => {
  rig = await DoorRig.start(["a"], { kind: "tls", credentials, clientCertificate: "optional" });
  client = new NexusClient(settings());
});
const settings = () => ({ federation: "fed", endpoints: [rig.endpoint()], token: tokens.all, ca: credentials.ca });
afterAll(async () => {
  client.close();
  await rig.stop();
});

function header(path: string): Buffer {
  const op = write(path, new Uint8Array(0), {}).op;
  if (op?.$case !== "write") throw new Error("a write is a write");
  return uploadHeader({ options: undefined, write: op.value, zone: "" });
}
const greeting = uploadGreeting(tokens.all);
const file = (path: string, ...parts: string[]) => [
  greeting,
  header(path),
  ...parts.map((part) => uploadData(Buffer.from(part))),
  uploadEnd,
];

/** Sends bytes and hears until so many answers came, or the box closes. */
function say(parts: Uint8Array[], wanted?: number): Promise<Heard<Response>> {
  const socket = socketToFederation({ trust, federation: "fed", endpoint: rig.endpoint() }, [uploadsProtocol]);
  const answersOf = (bytes: Buffer) => {
    const frame = readUploadFrame(bytes);
    return frame?.kind === "answer" ? [frame.response] : [];
  };
  return rig.drive(sayTo(socket, parts, { answersOf, wanted }));
}

const contentOf = async (path: string) => String((await rig.drive(client.get(path))).content);

async function stillServes(): Promise<void> {
  expect((await say(file("/still", "x"), 1)).answers).toMatchObject([{ result: { $case: "operation" } }]);
}

describe("uploads without gRPC", () => {
  test("follow each other on one connection, each answered", async () => {
    const { answers } = await say([Buffer.concat([...file("/one", "a", "b"), ...file("/two", "c")])], 2);

    expect(answers).toMatchObject([{ result: { $case: "operation" } }, { result: { $case: "operation" } }]);
    expect([await contentOf("/one"), await contentOf("/two")]).toEqual(["ab", "c"]);
  });

  test("are refused to whom the box does not know, at each of them", async () => {
    for (const token of ["", "wrong", tokens.expired, tokens.foreign]) {
      const { answers, refusal } = await say([uploadGreeting(token), header("/x"), uploadEnd]);
      expect(refusal).toMatch(/^UNAUTHENTICATED: /);
      expect(answers).toEqual([]);
    }
    const second = await say([...file("/three", "a"), uploadGreeting("wrong"), header("/x"), uploadEnd]);
    expect(second).toMatchObject({ answers: [{}], refusal: expect.stringMatching(/^UNAUTHENTICATED: /) });
  });

  test("give nobody more rights than the token has", async () => {
    const { answers } = await say([uploadGreeting(tokens.reader), header("/private/x"), uploadEnd], 1);

    expect(answers).toMatchObject([{ result: { $case: "failure", value: { code: "DENIED" } } }]);
  });

  test("begin with a greeting of a bounded size, then a header, then data", async () => {
    expect((await say([header("/x")])).refusal).toBe("INVALID: the first frame of an upload must be a greeting");
    expect(await say([uploadGreeting("x".repeat(17_000))])).toEqual({ answers: [], refusal: "" });
    expect((await say([greeting, uploadData(Buffer.alloc(3))])).refusal).toMatch(/^INVALID: a header/);
    expect((await say([greeting, header("/x"), greeting])).refusal).toMatch(/^INVALID: a frame that is neither/);
    expect((await say([greeting, header("/x"), batchFrame(9, [], 0)])).refusal).toMatch(/^INVALID: a frame that is/);
    expect(await say([greeting, header("/x"), uploadData(Buffer.alloc(2 << 20))])).toEqual({
      answers: [],
      refusal: "",
    });
    await stillServes();
  });

  test("that break off leave no file", async () => {
    await say([greeting, header("/broken"), uploadData(Buffer.alloc(500_000))], 0);
    await stillServes();

    await expect(rig.drive(client.stat("/broken"))).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("random and bent bytes end their own connection at most", async () => {
    const random = seededRandom(4);
    for (let i = 0; i < 20; i++) await say([random.bytes(1 + Math.floor(random.unit() * 80))], 0);
    await fc.assert(
      fc.asyncProperty(
        badBytes(Buffer.concat(file("/bent", "some content"))),
        fc.boolean(),
        async (bytes, isGreeted) => {
          const { answers } = await say(isGreeted ? [greeting, bytes] : [bytes], 0);
          for (const { result } of answers) expect(result).toBeDefined();
        },
      ),
      { numRuns: 120, seed: 6 },
    );
    await stillServes();
  });
});

describe("the client", () => {
  test("uploads many files at once and one after the other, and their bytes arrive", async () => {
    const bytes = (i: number) => Buffer.alloc(100_000 + i * 300_000, i + 1);
    const put = (i: number) => rig.drive(client.put(`/many/${i}`, bytes(i)));
    await Promise.all([0, 1, 2, 3, 4, 5].map(put));
    await put(6);

    for (let i = 0; i < 7; i++) expect((await rig.drive(client.get(`/many/${i}`))).content).toEqual(bytes(i));
  });

  test("may use the bytes it gave again once more are asked for", async () => {
    const part = Buffer.alloc(256 * 1024);
    function* parts() {
      for (let i = 1; i <= 20; i++) yield part.fill(i);
    }
    await rig.drive(client.upload("/reused", parts()));

    const { content } = await rig.drive(client.get("/reused"));
    for (let i = 0; i < 20; i++) expect(content[i * part.length + 7]).toBe(i + 1);
  });

  test("that gives up while the connection is made is told so, and its content is not asked for", async () => {
    const impatient = new NexusClient(settings());
    await rig.drive(impatient.list("/"));
    const abort = new AbortController();
    let isAsked = false;
    function* parts() {
      isAsked = true;
      yield Buffer.alloc(1);
    }

    const uploading = rig.drive(impatient.upload("/given-up", parts(), { signal: abort.signal }));
    setImmediate(() => abort.abort());

    await expect(uploading).rejects.toMatchObject({ code: "DEADLINE", message: "the caller gave up" });
    expect(isAsked).toBe(false);
    impatient.close();
  });
});
