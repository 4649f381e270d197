// What no client of ours would send, to every route over real sockets: odd paths, encodings, headers, bodies, and bytes
// that are no HTTP at all. Every answer is a typed refusal or a true one, and the box goes on.
import net from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorCodes } from "../base/errors.ts";
import { badBytes } from "../base/testing/bent.ts";
import { type Answer, DoorRig, tokens } from "./testing/rig.ts";

let rig: DoorRig;
beforeAll(async () => {
  rig = await DoorRig.start();
  await rig.ask("PUT", "/api/v1/files/kept/secret", { body: "kept" });
});
afterAll(() => rig.stop());

const methods = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"];
/** Every kind of route with a path in its target. */
const prefixes = ["files", "list", "stat", "locks", "watch", "metadata", "upload"].map((name) => `/api/v1/${name}`);
const bodies = [
  "/api/v1/move",
  "/api/v1/copy",
  "/api/v1/mkdir",
  "/api/v1/batch",
  "/api/v1/locks/x",
  "/api/v1/metadata/x",
];

const segments = fc.oneof(
  fc.constantFrom("..", ".", "%2e%2e", "%2E.", ".%2e", "%2F", "%2f..%2f", "..%5c", "\\..\\", "%00", "%0d%0a", "%c0%ae"),
  fc.constantFrom(
    "%",
    "%zz",
    "%25%32%65",
    "%ff",
    "%ed%a0%80",
    "zone:system",
    "zone%3Asystem",
    ";a=b",
    "",
    "*",
    "**",
    "a",
  ),
  fc.string({ maxLength: 12 }).map(encodeURIComponent),
  fc.nat(400).map((length) => "x".repeat(length)),
);
const targets = fc
  .tuple(
    fc.constantFrom(...prefixes),
    fc.array(segments, { maxLength: 6 }),
    fc.constantFrom("", "/", "?recursive=1", "?x=%"),
  )
  .map(([prefix, list, end]) => `${prefix}/${list.join("/")}${end}`);

/** Text that an HTTP client can put into a header. */
const headerText = fc.oneof(
  fc.constantFrom(
    "",
    "-1",
    "1e9",
    "NaN",
    "99999999999999999999",
    '"',
    "W/",
    "*",
    "a,b",
    "bytes=5-1",
    "bytes=-0,1-",
    "?1",
  ),
  fc.string({ unit: fc.constantFrom(..." !#$%&'()*+-./:;<=>?@[]^_`{|}~09azAZ\u00ff"), maxLength: 60 }),
);
const headers = fc.dictionary(
  fc.constantFrom(
    "nexus-timeout",
    "nexus-after",
    "nexus-request-id",
    "nexus-fence",
    "nexus-lock-id",
    "range",
    "if-match",
  ),
  headerText,
  { maxKeys: 4 },
);

function isTyped(answer: Answer): void {
  expect(answer.status, answer.text.slice(0, 300)).not.toBe(500);
  if (answer.status < 400 || answer.body.length === 0) return;
  expect(errorCodes).toContain(answer.json?.code);
  expect(answer.text).not.toMatch(/node:|\.ts:\d|at \w+ \(/);
}

async function stillServes(): Promise<void> {
  const kept = await rig.ask("GET", "/api/v1/files/kept/secret");
  expect(kept).toMatchObject({ status: 200, text: "kept" });
}

describe("every route", () => {
  test("answers odd paths with a typed refusal, and never with a file outside of the one named", async () => {
    const odd = fc.tuple(fc.constantFrom("GET", "HEAD", "DELETE", "PUT"), targets, headers);
    await fc.assert(
      fc.asyncProperty(odd, async ([method, target, more]) => {
        // A watch does not end by itself.
        if (target.startsWith("/api/v1/watch")) return;
        const answer = await rig.ask(method, target.replaceAll(/[^\x21-\x7e]/g, "_"), { headers: more });
        isTyped(answer);
        expect(answer.text).not.toBe("kept");
      }),
      { numRuns: 250 },
    );
    await stillServes();
  });

  test("answers JSON of any form with a typed refusal or a result", async () => {
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom("/kept", "/../kept", "kept", -1, 2 ** 60, null),
    );
    const names = [
      "from",
      "to",
      "path",
      "operations",
      "replace",
      "ttlMs",
      "waitMs",
      "kind",
      "slots",
      "set",
      "__proto__",
    ];
    const objects = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 5 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...bodies), fc.constantFrom("POST", "PUT", "PATCH"), objects, async (...all) => {
        const [target, method, body] = all;
        // Nobody waits for a lock here.
        isTyped(await rig.json(method, target, { ...body, waitMs: 0 }));
      }),
      { numRuns: 200 },
    );
    const { status } = await rig.ask("GET", "/healthz");
    expect(status).toBe(200);
  });

  test.each([
    ["absent", null],
    ["empty", ""],
    ["wrong", "nonsense"],
    ["expired", tokens.expired],
    ["of another federation", tokens.foreign],
    ["above every limit", "x".repeat(12_000)],
  ])("refuses a token that is %s, whatever is asked", async (_, token) => {
    for (const prefix of prefixes) {
      for (const method of methods) {
        const answer = await rig.ask(method, `${prefix}/kept/secret`, { token });
        expect([400, 401, 403, 404, 405, 431], `${method} ${prefix}`).toContain(answer.status);
        expect(answer.text).not.toContain("kept\n");
        expect(answer.text).not.toBe("kept");
      }
    }
    await stillServes();
  });
});

test("bytes that are no HTTP end their connection and nothing else", async () => {
  const request = Buffer.from("PUT /api/v1/files/x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc");
  const chunked = Buffer.from(
    "PUT /api/v1/files/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
  );
  const preface = Buffer.from(
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\xff\xff\0\0\0\x04\x08\0\0\0\0\0",
  );
  await fc.assert(
    fc.asyncProperty(badBytes(request, chunked, preface), async (bytes) => {
      await rig.drive(thrown(rig.port(), bytes));
    }),
    { numRuns: 150 },
  );
  await stillServes();
});

/** Sends and hangs up; resolves when the connection is over. */
function thrown(port: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.end(bytes));
    socket.resume();
    socket.on("error", () => {});
    socket.on("close", () => resolve());
  });
}
