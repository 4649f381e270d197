import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import { DoorRig, tokens } from "./testing/rig.ts";

let rig: DoorRig;
beforeAll(async () => {
  rig = await DoorRig.start();
});
afterAll(() => rig.stop());

const files = "/api/v1/files";
const sha256 = (content: Uint8Array | string) => createHash("sha256").update(content).digest("hex");

describe("content over HTTP", () => {
  test("a file is written, read, described and deleted, each with its receipt", async () => {
    const headers = { "content-type": "text/plain", "nexus-meta-owner": "ann" };
    const written = await rig.ask("PUT", `${files}/docs/a.txt`, { body: "hello", headers });
    const read = await rig.ask("GET", `${files}/docs/a.txt`);
    const head = await rig.ask("HEAD", `${files}/docs/a.txt`);
    const deleted = await rig.ask("DELETE", `${files}/docs/a.txt`);
    const gone = await rig.ask("GET", `${files}/docs/a.txt`);

    expect(written.status).toBe(201);
    expect(written.json.file).toMatchObject({ path: "/docs/a.txt", size: 5, etag: sha256("hello") });
    expect(written.json.receipt).toMatchObject({ zone: "all", mode: "strong", copies: 1, stalenessMs: 0 });
    expect(written.headers["nexus-receipt"]).toContain('zone="all"');
    expect(read).toMatchObject({ status: 200, text: "hello" });
    expect(read.headers).toMatchObject({
      "content-type": "text/plain",
      etag: `"${sha256("hello")}"`,
      "content-length": "5",
      "accept-ranges": "bytes",
      "nexus-meta-owner": "ann",
      "nexus-served-by": "a",
    });
    expect(head.status).toBe(200);
    expect(head.body).toHaveLength(0);
    expect(head.headers).toMatchObject({ "content-length": "5", etag: `"${sha256("hello")}"` });
    expect(deleted.status).toBe(204);
    expect(gone).toMatchObject({ status: 404, json: { code: "NOT_FOUND" } });
  });

  test("a change is executed in the log of its pin or not at all, also one that is streamed", async () => {
    const first = await rig.ask("PUT", `${files}/pinned`, { body: "1" });
    const { token } = first.json.receipt;
    const other = Buffer.from(token, "base64url");
    other[8] = (other[8] ?? 0) + 7;
    const put = (pin: string, more: object = {}) =>
      rig.ask("PUT", `${files}/pinned`, { body: "2", headers: { "nexus-request-pin": pin, ...more } });

    const chunked = { "transfer-encoding": "chunked" };
    for (const more of [{}, chunked]) {
      expect(await put(other.toString("base64url"), more)).toMatchObject({ json: { code: "GENERATION_CHANGED" } });
    }
    expect(await put("garbage")).toMatchObject({ status: 400, json: { code: "INVALID" } });
    expect((await rig.ask("GET", `${files}/pinned`)).text).toBe("1");
    expect((await put(token, chunked)).status).toBe(200);
  });

  test("options that no zone can mean are refused on changes too", async () => {
    for (const headers of [
      { "nexus-after": "garbage" },
      { "nexus-read-preference": "moon" },
      { "nexus-write-concern": "x" },
    ]) {
      for (const method of ["PUT", "GET", "DELETE"]) {
        const answer = await rig.ask(method, `${files}/opt`, { body: method === "PUT" ? "1" : "", headers });
        expect(answer).toMatchObject({ status: 400, json: { code: "INVALID" } });
      }
    }
  });

  test("a method that an address does not take is 405 with those it takes", async () => {
    const answer = await rig.ask("PATCH", `${files}/a`);

    expect(answer).toMatchObject({
      status: 405,
      json: { code: "INVALID" },
      headers: { allow: "DELETE, GET, HEAD, PUT" },
    });
    expect((await rig.ask("PATCH", "/nowhere")).status).toBe(404);
  });

  test("an empty file is a file, with and without a declared length", async () => {
    const empty = await rig.ask("PUT", `${files}/empty`, { headers: { "content-length": "0" } });
    const chunked = await rig.ask("PUT", `${files}/empty2`, { headers: { "transfer-encoding": "chunked" } });
    const typed = await rig.ask("PUT", `${files}/empty3`, {
      headers: { "content-length": "0", "content-type": "application/json" },
    });

    expect([empty.status, chunked.status, typed.status]).toEqual([201, 201, 201]);
    for (const name of ["empty", "empty2", "empty3"]) {
      expect(await rig.ask("GET", `${files}/${name}`)).toMatchObject({ status: 200, text: "" });
    }
  });

  test("a second write answers 200 and the JSON of a JSON file is not looked at", async () => {
    const headers = { "content-type": "application/json" };
    const first = await rig.ask("PUT", `${files}/j.json`, { body: "{broken", headers });
    const second = await rig.ask("PUT", `${files}/j.json`, { body: "{still", headers });

    expect([first.status, second.status]).toEqual([201, 200]);
    expect(await rig.ask("GET", `${files}/j.json`)).toMatchObject({
      headers: { "content-type": "application/json" },
      body: Buffer.from("{still"),
    });
  });

  test("large content streams both ways, with and without a declared length, and by range", async () => {
    const content = Buffer.from(seededRandom(5).bytes(3_000_000));
    async function* pieces() {
      for (let at = 0; at < content.length; at += 100_001) yield content.subarray(at, at + 100_001);
    }
    const declared = await rig.ask("PUT", `${files}/big`, {
      body: pieces(),
      headers: { "content-length": content.length },
    });
    const undeclared = await rig.ask("PUT", `${files}/big2`, { body: pieces() });
    const whole = await rig.ask("GET", `${files}/big`);
    const part = await rig.ask("GET", `${files}/big2`, { headers: { range: "bytes=1000000-2100000" } });

    expect([declared.status, undeclared.status]).toEqual([201, 201]);
    expect(declared.json.file.etag).toBe(sha256(content));
    expect(whole.body.equals(content)).toBe(true);
    expect(part.status).toBe(206);
    expect(part.headers["content-range"]).toBe("bytes 1000000-2100000/3000000");
    expect(part.body.equals(content.subarray(1_000_000, 2_100_001))).toBe(true);
  });

  test("many downloads over one connection leave no listeners behind", async () => {
    const warnings: string[] = [];
    const note = (warning: Error) => warnings.push(warning.name);
    process.on("warning", note);
    await rig.ask("PUT", `${files}/kept`, { body: Buffer.alloc(100_000, 1), headers: { "content-length": 100_000 } });

    for (let i = 0; i < 15; i++) expect((await rig.ask("GET", `${files}/kept`)).body).toHaveLength(100_000);

    process.off("warning", note);
    expect(warnings).toEqual([]);
  });

  test("a range is cut to the file, a suffix is its end, and one beyond it is refused", async () => {
    await rig.ask("PUT", `${files}/r`, { body: "0123456789" });
    const ask = (range: string, more = {}) => rig.ask("GET", `${files}/r`, { headers: { range, ...more } });

    expect(await ask("bytes=2-4")).toMatchObject({ status: 206, text: "234" });
    expect(await ask("bytes=8-99")).toMatchObject({ status: 206, text: "89" });
    expect(await ask("bytes=-3")).toMatchObject({ status: 206, text: "789" });
    expect(await ask("bytes=7-")).toMatchObject({ status: 206, text: "789" });
    expect(await ask("bytes=0-1,3-4")).toMatchObject({ status: 200, text: "0123456789" });
    expect(await ask("lines=1-2")).toMatchObject({ status: 200 });
    const beyond = await ask("bytes=10-");
    expect(beyond).toMatchObject({ status: 416, json: { code: "INVALID", status: 416 } });
    expect(beyond.headers["content-range"]).toBe("bytes */10");
    expect(await ask("bytes=2-4", { "if-range": '"00"' })).toMatchObject({ status: 200, text: "0123456789" });
    expect(await ask("bytes=2-4", { "if-range": `"${sha256("0123456789")}"` })).toMatchObject({ status: 206 });
  });
});

describe("conditions over HTTP", () => {
  test("If-None-Match answers 304 for the etag alone, in a list, weak, or for a star", async () => {
    await rig.ask("PUT", `${files}/c`, { body: "one" });
    const etag = `"${sha256("one")}"`;
    const ask = async (value: string) =>
      (await rig.ask("GET", `${files}/c`, { headers: { "if-none-match": value } })).status;

    expect(await ask(etag)).toBe(304);
    expect(await ask(`"00", ${etag}`)).toBe(304);
    expect(await ask(`W/${etag}`)).toBe(304);
    expect(await ask("*")).toBe(304);
    expect(await ask('"00"')).toBe(200);
    expect((await rig.ask("GET", `${files}/c`, { headers: { "if-match": `"${sha256("two")}"` } })).json).toMatchObject({
      code: "PRECONDITION_FAILED",
      status: 412,
    });
  });

  test("If-Match and If-None-Match decide whether a write is made", async () => {
    const put = (body: string, headers: Record<string, string>) => rig.ask("PUT", `${files}/d`, { body, headers });

    expect(await put("x", { "if-match": "*" })).toMatchObject({ status: 412 });
    expect(await put("x", { "if-none-match": "*" })).toMatchObject({ status: 201 });
    expect(await put("y", { "if-none-match": "*" })).toMatchObject({ status: 412 });
    expect(await put("y", { "if-match": `"${sha256("z")}"` })).toMatchObject({ status: 412 });
    expect(await put("y", { "if-match": `"${sha256("x")}"` })).toMatchObject({ status: 200 });
    expect(await put("y", { "if-match": "nonsense" })).toMatchObject({ status: 400, json: { code: "INVALID" } });
    expect(await rig.ask("DELETE", `${files}/d`, { headers: { "if-match": `"${sha256("x")}"` } })).toMatchObject({
      status: 412,
    });
  });

  test("a retry with the same request id is applied once and answers alike", async () => {
    const headers = { "nexus-request-id": "00112233-4455-6677-8899-aabbccddeeff" };
    const first = await rig.ask("PUT", `${files}/once`, { body: "1", headers });
    await rig.ask("PUT", `${files}/once`, { body: "2" });
    const again = await rig.ask("PUT", `${files}/once`, { body: "1", headers });

    expect(again.json.file.revision).toBe(first.json.file.revision);
    expect(await rig.ask("GET", `${files}/once`)).toMatchObject({ text: "2" });
  });
});

describe("paths in the URL", () => {
  test("segments are decoded once, whatever they hold", async () => {
    const target = `${files}/%C3%A4%20b/%252e%252e/%3Fq%23h`;
    const written = await rig.ask("PUT", target, { body: "x" });

    expect(written.json.file.path).toBe("/ä b/%2e%2e/?q#h");
    expect(await rig.ask("GET", target)).toMatchObject({ status: 200, text: "x" });
  });

  test("a zone is addressed by its own root", async () => {
    await rig.ask("PUT", `${files}/z/f`, { body: "in zone" });

    expect(await rig.ask("GET", `${files}/zone:all/z/f`)).toMatchObject({ status: 200, text: "in zone" });
    expect(await rig.ask("GET", `${files}/zone:none/z/f`)).toMatchObject({ status: 404, json: { code: "NO_ZONE" } });
  });

  for (const path of [
    "/../etc/passwd",
    "/a/../../b",
    "/a/./b",
    "/a//b",
    "/a%2Fb",
    "/%2e%2e/b",
    "/a%00b",
    "/%FF",
    "/%zz",
    "/%",
    "/a/",
    `/${"x".repeat(256)}`,
    `/${"x/".repeat(3000)}x`,
  ]) {
    test(`${path.slice(0, 40)} is refused as INVALID`, async () => {
      for (const method of ["GET", "PUT", "DELETE"]) {
        const answer = await rig.ask(method, files + path, method === "PUT" ? { body: "x" } : {});
        expect(answer.headers["content-type"]).toContain("application/problem+json");
        expect(answer.json).toMatchObject({ code: "INVALID", status: 400 });
      }
    });
  }

  test("a prefix that hides behind percent signs is no route to another path", async () => {
    const answer = await rig.ask("PUT", "/api/v1/fil%65s/secret", { body: "x" });

    expect(answer.json).toMatchObject({ code: "INVALID" });
    expect(await rig.ask("GET", `${files}/secret`)).toMatchObject({ status: 404 });
  });
});

describe("who may", () => {
  test("no token, a wrong, an expired and a foreign one are refused alike", async () => {
    for (const token of [null, "", "nonsense", tokens.expired, tokens.foreign, "x".repeat(5000)]) {
      const answer = await rig.ask("GET", `${files}/x`, { token });
      expect(answer.json).toMatchObject({ code: "UNAUTHENTICATED", status: 401 });
      expect(answer.headers["www-authenticate"]).toContain("Bearer");
    }
  });

  test("a right counts below its prefix only", async () => {
    await rig.ask("PUT", `${files}/public/p`, { body: "open" });
    const { reader: token } = tokens;

    expect(await rig.ask("GET", `${files}/public/p`, { token })).toMatchObject({ status: 200 });
    expect(await rig.ask("PUT", `${files}/public/p`, { token, body: "x" })).toMatchObject({ status: 403 });
    expect(await rig.ask("GET", `${files}/publicity`, { token })).toMatchObject({ json: { code: "DENIED" } });
    expect(await rig.ask("GET", "/metrics", { token })).toMatchObject({ json: { code: "DENIED" } });
  });

  test("a large upload that is refused gets its reason, not a broken connection", async () => {
    async function* endless() {
      for (let i = 0; i < 200; i++) yield Buffer.alloc(100_000);
    }
    const answer = await rig.ask("PUT", `${files}/public/big`, { token: tokens.reader, body: endless() });

    expect(answer.json).toMatchObject({ code: "DENIED", status: 403 });
  });
});
