import * as grpc from "@grpc/grpc-js";
import { FilesService } from "@nexus-federation/proto/files.ts";
import { LocksService } from "@nexus-federation/proto/locks.ts";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import { channelOptions } from "../transport/channel.ts";
import { DoorRig, tokens } from "./testing/rig.ts";

let rig: DoorRig;
let client: grpc.Client;
const metadata = new grpc.Metadata();
metadata.set("authorization", `Bearer ${tokens.all}`);
const raw = (bytes: Buffer) => bytes;

beforeAll(async () => {
  rig = await DoorRig.start();
  client = new grpc.Client(rig.endpoint(), grpc.credentials.createInsecure(), channelOptions);
});
afterAll(async () => {
  client.close();
  await rig.stop();
});

type Definition = { path: string; requestStream: boolean; responseStream: boolean };

/** Sends byte strings as messages of a method; answers the status and the messages that came. */
function send(
  method: Definition,
  messages: Buffer[],
  deadlineMs = 3_000,
): Promise<{ code: number; answers: Buffer[] }> {
  const run = new Promise<{ code: number; answers: Buffer[] }>((resolve) => {
    const answers: Buffer[] = [];
    const options = { deadline: Date.now() + deadlineMs };
    const call = client.makeBidiStreamRequest<Buffer, Buffer>(method.path, raw, raw, metadata, options);
    call.on("data", (answer: Buffer) => answers.push(answer));
    call.on("error", () => {});
    call.on("status", ({ code }) => resolve({ code, answers }));
    for (const message of messages) call.write(message);
    call.end();
  });
  return rig.drive(run);
}

async function stillServes() {
  expect(await rig.ask("GET", "/healthz")).toMatchObject({ status: 200 });
  expect(await rig.ask("PUT", "/api/v1/files/alive", { body: "x" })).toMatchObject({
    status: expect.toBeOneOf([200, 201]),
  });
}

/** A real message with bytes changed, dropped or added. */
function bent(message: Buffer) {
  const edit = fc.record({
    at: fc.nat(message.length - 1),
    byte: fc.nat(255),
    kind: fc.constantFrom("set", "drop", "add"),
  });
  return fc.array(edit, { minLength: 1, maxLength: 4 }).map((edits) => {
    const bytes = [...message];
    for (const { at, byte, kind } of edits)
      bytes.splice(at, kind === "add" ? 0 : 1, ...(kind === "drop" ? [] : [byte]));
    return Buffer.from(bytes);
  });
}

const request = FilesService.call.requestSerialize({
  id: 3,
  options: undefined,
  zone: "",
  op: { $case: "read", value: { path: "/some/file", infoOnly: false } },
});
const sample = Buffer.from(request);
const services: Definition[] = [...Object.values(FilesService), ...Object.values(LocksService)].filter(
  (method) => method.path !== FilesService.watch.path,
);

describe("bad bytes on the gRPC doors", () => {
  test("a text that is no UTF-8 ends its call: it would be another file's name", async () => {
    const bent = Buffer.from(sample);
    bent[bent.indexOf("file")] = 0xff;

    const { code, answers } = await send(FilesService.call, [bent]);
    expect([code, answers]).toEqual([grpc.status.INTERNAL, []]);
    await stillServes();
  });

  test("random bytes end their call and nothing else", async () => {
    const random = seededRandom(9);
    for (const method of services) {
      for (let i = 0; i < 12; i++) {
        const messages = method.requestStream ? 3 : 1;
        const junk = Array.from({ length: messages }, () =>
          Buffer.from(random.bytes(1 + Math.floor(random.unit() * 60))),
        );
        await send(method, junk);
      }
    }
    await stillServes();
  });

  test("bent requests are answered or refused", async () => {
    await fc.assert(
      fc.asyncProperty(bent(sample), async (message) => {
        const { code, answers } = await send(FilesService.call, [message]);
        expect(code === grpc.status.OK ? answers.length : 0).toBeLessThanOrEqual(1);
      }),
      { numRuns: 150, seed: 5 },
    );
    await stillServes();
  });

  test("a number beyond 2^53 and an operation that is missing are refused", async () => {
    const huge = Buffer.from([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    expect((await send(FilesService.call, [huge])).code).not.toBe(grpc.status.OK);
    const empty = await send(FilesService.call, [Buffer.alloc(0)]);
    expect(empty.code).toBe(grpc.status.OK);
    expect(FilesService.call.responseDeserialize(empty.answers[0]!).result).toMatchObject({
      value: { code: "INVALID" },
    });
    await stillServes();
  });

  test("a message above the limit is refused, not collected", async () => {
    const { code } = await send(FilesService.call, [Buffer.alloc(20 * 1024 * 1024)], 20_000);
    expect([grpc.status.RESOURCE_EXHAUSTED, grpc.status.CANCELLED, grpc.status.INTERNAL]).toContain(code);
    await stillServes();
  });

  test("an upload whose first frame has no header, or names a path that is none, is refused in a sentence", async () => {
    const noHeader = Buffer.from(FilesService.upload.requestSerialize({ header: undefined, data: Buffer.from("x") }));
    const answer = await send(FilesService.upload, [noHeader, noHeader]);
    expect(FilesService.upload.responseDeserialize(answer.answers[0]!).result).toMatchObject({
      value: { code: "INVALID" },
    });
    await stillServes();
  });

  test("paths that are none are INVALID through gRPC too", async () => {
    for (const path of ["", "a", "/../x", "/a//b", "/a/", "/a\0b", `/${"x".repeat(300)}`, "/zone:x"]) {
      const message = FilesService.call.requestSerialize({
        id: 1,
        options: undefined,
        zone: "",
        op: { $case: "stat", value: { path } },
      });
      const { answers } = await send(FilesService.call, [Buffer.from(message)]);
      const { result } = FilesService.call.responseDeserialize(answers[0]!);
      expect(result, path).toMatchObject({
        $case: "failure",
        value: { code: expect.toBeOneOf(["INVALID", "NO_ZONE"]) },
      });
    }
  });

  test("no token and a wrong one get UNAUTHENTICATED on every method", async () => {
    const anonymous = new grpc.Metadata();
    for (const method of services) {
      const code = await rig.drive(
        new Promise<number>((resolve) => {
          const call = client.makeBidiStreamRequest<Buffer, Buffer>(method.path, raw, raw, anonymous, {});
          call.on("data", () => {});
          call.on("error", () => {});
          call.on("status", (status) => resolve(status.code));
          call.end(method.path === FilesService.call.path ? sample : Buffer.alloc(0));
        }),
      );
      expect(code, method.path).toBe(grpc.status.UNAUTHENTICATED);
    }
  });
});
