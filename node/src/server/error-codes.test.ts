import { once } from "node:events";
import http from "node:http";
import * as grpc from "@grpc/grpc-js";
import { FilesClient } from "@nexus-federation/proto/files.ts";
import { LocksClient } from "@nexus-federation/proto/locks.ts";
import type { Request, Response } from "@nexus-federation/proto/request.ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { must } from "../base/assert.ts";
import { type ErrorCode, errorCodes, errorKinds, type Refusal, refuse } from "../base/errors.ts";
import type { BoxApi } from "../box/api.ts";
import { noOptions } from "../box/ask.ts";
import { clientListenerLimits, type Listener } from "../transport/listener.ts";
import { refusedResponse } from "./callers.ts";
import { clientDoors } from "./doors.ts";

/** What the box behind the doors says to every request. */
let refusal: Refusal = refuse("INTERNAL", "nothing was asked yet");
const box = {
  box: "a",
  federation: "fed",
  region: "r",
  handle: (request: Request, _caller: unknown, done: (response: Response) => void) =>
    done(refusedResponse(request.id, refusal)),
} as unknown as BoxApi;

let doors: { listener: Listener; close(): Promise<void> };
let port = 0;
let files: FilesClient;
let locks: LocksClient;
beforeAll(async () => {
  const authenticator = { authenticate: () => ({ principal: "me", kind: "client" as const, check: () => undefined }) };
  const rest = { audit: () => {}, metrics: async () => "", refused: () => {}, defer: (fn: () => void) => fn() };
  const security = { kind: "plain" as const };
  const settings = { ...clientListenerLimits, host: "127.0.0.1", port: 0, security };
  doors = await clientDoors({ box, authenticator, ...rest, version: "1" }, settings);
  port = await doors.listener.start();
  const insecure = grpc.credentials.createInsecure();
  files = new FilesClient(`127.0.0.1:${port}`, insecure);
  locks = new LocksClient(`127.0.0.1:${port}`, insecure);
});
afterAll(async () => {
  files.close();
  locks.close();
  await Promise.all([doors.listener.stop(), doors.close()]);
});

const stat: Request = { id: 7, zone: "", options: noOptions, op: { $case: "stat", value: { path: "/x" } } };
const failureOf = (response: Response | undefined) =>
  response?.result?.$case === "failure" ? response.result.value : undefined;

async function overHttp(method: string, path: string): Promise<{ status: number; headers: object; body: object }> {
  const request = http.request({ host: "127.0.0.1", port, method, path, headers: { "nexus-lock-id": "0".repeat(32) } });
  request.end();
  const [answer] = (await once(request, "response")) as [http.IncomingMessage];
  const text = (await answer.toArray()).join("");
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: text === "" ? {} : JSON.parse(text) };
}

function overSession(): Promise<Response | undefined> {
  const stream = files.session();
  return new Promise((resolve, reject) => {
    stream.on("data", ({ responses }: { responses: Response[] }) => {
      resolve(responses[0]);
      stream.end();
    });
    stream.on("error", reject);
    stream.write({ requests: [stat] });
  });
}

describe.each(errorCodes)("%s", (code: ErrorCode) => {
  const kind = errorKinds[code];
  beforeAll(() => {
    refusal = refuse(code, `a sentence about ${code}`, { retryAfterMs: 1_500, epoch: 4, leaderBox: "b" });
  });

  test.each([
    ["GET", "/api/v1/stat/x"],
    ["GET", "/api/v1/list/x"],
    ["GET", "/api/v1/files/x"],
    ["DELETE", "/api/v1/files/x"],
    ["DELETE", "/api/v1/locks/x"],
  ])("over HTTP %s %s: its status, and a problem that says it", async (method, path) => {
    const { status, headers, body } = await overHttp(method, path);

    expect(status).toBe(kind.http);
    expect(headers).toMatchObject({ "content-type": expect.stringContaining("application/problem+json") });
    expect(body).toMatchObject({ code, status: kind.http, detail: `a sentence about ${code}` });
  });

  test("over the gRPC stream, a call of its own and the locks service: the same code and sentence", async () => {
    const called = new Promise<Response>((resolve, reject) => {
      files.call(stat, (error, response) => (error ? reject(error) : resolve(response)));
    });
    const locked = new Promise<Response>((resolve, reject) => {
      const request = {
        options: noOptions,
        zone: "",
        acquire: undefined,
        extend: undefined,
        release: undefined,
        path: "/x",
      };
      locks.inspect(request, (error, response) => (error ? reject(error) : resolve(response)));
    });

    for (const response of await Promise.all([overSession(), called, locked])) {
      const failure = must(failureOf(response), "failure");
      expect(failure).toMatchObject({ code, message: `a sentence about ${code}`, retryAfterMs: 1_500, leaderBox: "b" });
    }
  });
});
