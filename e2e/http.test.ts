import { createHash, randomBytes } from "node:crypto";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { Http } from "./harness/http.ts";

let federation: Federation;
let http: Http;
beforeAll(async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
  http = new Http(federation);
});
afterAll(async () => {
  expect(await federation?.down()).toEqual([]);
});

const files = "/api/v1/files";
const etagOf = (content: string | Buffer) => `"${createHash("sha256").update(content).digest("hex")}"`;

test("a written file is created with 201, replaced with 200, read back with its headers, and deleted with 204", async () => {
  const body = "hello";
  const created = await http.ask("PUT", `${files}/h/a`, {
    body,
    headers: { "content-type": "text/plain", "nexus-meta-colour": "blue" },
  });
  const replaced = await http
    .ask("PUT", `${files}/h/b`, { body: "1" })
    .then(() => http.ask("PUT", `${files}/h/b`, { body: "2" }));
  const read = await http.ask("GET", `${files}/h/a`);
  const head = await http.ask("HEAD", `${files}/h/a`);

  expect(created).toMatchObject({ status: 201, headers: { etag: etagOf(body) } });
  expect(created.json()).toMatchObject({ file: { path: "/h/a", size: 5 }, receipt: { copies: 2, degraded: false } });
  expect(replaced.status).toBe(200);
  expect(read).toMatchObject({
    status: 200,
    headers: {
      etag: etagOf(body),
      "content-type": "text/plain",
      "content-length": "5",
      "nexus-meta-colour": "blue",
      "nexus-receipt": expect.stringMatching(/zone="root".*copies=2/),
    },
  });
  expect(read.body.toString()).toBe(body);
  expect(head).toMatchObject({ status: 200, headers: { etag: etagOf(body), "content-length": "5" } });
  expect(head.body.length).toBe(0);
  expect((await http.ask("DELETE", `${files}/h/a`)).status).toBe(204);
  expect((await http.ask("GET", `${files}/h/a`)).json()).toMatchObject({ status: 404, code: "NOT_FOUND" });
});

test("conditions: If-Match, If-None-Match and unchanged content", async () => {
  await http.ask("PUT", `${files}/h/c`, { body: "one" });
  const put = (headers: Record<string, string>) => http.ask("PUT", `${files}/h/c`, { body: "two", headers });

  expect((await put({ "if-none-match": "*" })).json()).toMatchObject({ status: 412, code: "PRECONDITION_FAILED" });
  expect((await put({ "if-match": etagOf("other") })).status).toBe(412);
  expect((await put({ "if-match": "unquoted" })).json()).toMatchObject({ status: 400, code: "INVALID" });
  expect((await http.ask("GET", `${files}/h/c`, { headers: { "if-none-match": etagOf("one") } })).status).toBe(304);
  expect((await put({ "if-match": etagOf("one") })).status).toBe(200);
  expect((await http.ask("DELETE", `${files}/h/c`, { headers: { "if-match": etagOf("one") } })).status).toBe(412);
});

test.each([
  ["bytes=0-3", 206, 0, 4],
  ["bytes=1000000-", 206, 1_000_000, 48_576],
  ["bytes=-10", 206, 1_048_566, 10],
  ["bytes=500000-600000", 206, 500_000, 100_001],
  ["bytes=2000000-", 416, 0, 0],
])("a range %s of a file in chunks answers %d", async (range, status, from, length) => {
  const content = Buffer.alloc(1_048_576, "0123456789");
  await http.ask("PUT", `${files}/h/big`, { body: content });
  const read = await http.ask("GET", `${files}/h/big`, { headers: { range } });

  expect(read.status).toBe(status);
  if (status === 206) {
    expect(read.body.equals(content.subarray(from, from + length))).toBe(true);
    expect(read.headers["content-range"]).toBe(`bytes ${from}-${from + length - 1}/${content.length}`);
  } else expect(read.headers["content-range"]).toBe(`bytes */${content.length}`);
});

test("list pages, stat, mkdir, move, copy and batch do what they say", async () => {
  const operations = Array.from({ length: 25 }, (_, i) => ({
    op: "write",
    path: `/h/tree/f${String(i).padStart(2, "0")}`,
    content: Buffer.from(`${i}`).toString("base64"),
  }));
  expect((await http.json("POST", "/api/v1/mkdir", { path: "/h/tree/deep/er", parents: true })).status).toBe(200);
  const batch = await http.json("POST", "/api/v1/batch", { operations });
  expect(batch.json<{ results: unknown[] }>().results).toHaveLength(25);

  const names: string[] = [];
  let page = "";
  do {
    const listed = await http.ask("GET", `/api/v1/list/h/tree?limit=10&page=${encodeURIComponent(page)}`);
    const { entries, nextPage } = listed.json<{ entries: { name: string }[]; nextPage: string }>();
    names.push(...entries.map((entry) => entry.name));
    page = nextPage;
  } while (page);
  expect(names).toEqual(["deep", ...operations.map((one) => one.path.slice("/h/tree/".length))]);

  expect((await http.json("POST", "/api/v1/copy", { from: "/h/tree/f00", to: "/h/copy" })).status).toBe(200);
  expect((await http.json("POST", "/api/v1/move", { from: "/h/copy", to: "/h/moved" })).status).toBe(200);
  expect((await http.ask("GET", "/api/v1/stat/h/moved")).json()).toMatchObject({ file: { size: 1, type: "file" } });
  expect((await http.ask("GET", "/api/v1/stat/h/copy")).status).toBe(404);
  const wrong = [...operations.slice(0, 2), { op: "delete", path: "/h/tree/absent" }];
  expect((await http.json("POST", "/api/v1/batch", { operations: wrong })).status).toBe(404);
});

test("locks over HTTP: acquire, refused while held, extend, fenced write, release", async () => {
  const url = "/api/v1/locks/h/lock";
  const grant = (await http.json("POST", url, { ttlMs: 5000 })).json<{ lockId: string; fence: string }>();
  expect((await http.json("POST", url, {})).json()).toMatchObject({ status: 423, code: "LOCKED" });
  expect((await http.json("PUT", url, { lockId: grant.lockId, ttlMs: 6000 })).status).toBe(200);
  const fenced = (fence: string) =>
    http.ask("PUT", `${files}/h/fenced`, {
      body: "x",
      headers: { "nexus-fence": fence, "nexus-lock-path": "/h/lock" },
    });
  expect((await fenced(grant.fence)).status).toBe(201);
  expect((await http.ask("GET", url)).json()).toMatchObject({ holders: [{ fence: grant.fence }] });
  expect((await http.ask("DELETE", url, { headers: { "nexus-lock-id": grant.lockId } })).status).toBe(204);
  expect((await fenced(grant.fence)).json()).toMatchObject({ status: 412, code: "FENCED" });
  expect((await fenced(String(BigInt(grant.fence) + 1n))).json()).toMatchObject({ code: "FENCED" });
});

test("a watch streams changes and resumes behind the last event id without gap or repeat", async () => {
  const changes = (text: string) =>
    [...text.matchAll(/^id: (.*)\nevent: changes\ndata: (.*)$/gm)].flatMap(([, id, data]) =>
      (JSON.parse(data!) as { path: string }[]).map(({ path }) => ({ id: id!, path })),
    );
  const put = (name: string) => http.ask("PUT", `${files}/h/watched/${name}`, { body: name });
  let writing: Promise<unknown> | undefined;
  const first = await http.ask("GET", "/api/v1/watch/h/watched", {
    enough: (text) => {
      if (text.includes(": watching")) writing ??= put("a").then(() => put("b"));
      return changes(text).some(({ path }) => path === "/h/watched/a");
    },
  });
  await writing;
  await put("c");
  const after = changes(first.body.toString()).at(-1)!;
  const second = await http.ask("GET", "/api/v1/watch/h/watched", {
    headers: { "last-event-id": after.id },
    enough: (text) => changes(text).some(({ path }) => path === "/h/watched/c"),
  });

  const paths = [...changes(first.body.toString()), ...changes(second.body.toString())]
    .map(({ path }) => path)
    .filter((path) => path !== "/h/watched");
  expect(paths).toEqual(["/h/watched/a", "/h/watched/b", "/h/watched/c"]);
});

test.each([
  ["/../etc/passwd"],
  ["/a/../../b"],
  ["/a/%2e%2e/b"],
  ["/a/./b"],
  ["/a//b"],
  ["/a%2Fb"],
  ["/a%00b"],
  ["/a%ff"],
  ["/a%zz"],
  [`/${"x".repeat(256)}`],
  ["/zone:nope%2F"],
])("the path %s is refused as INVALID and nothing is written", async (path) => {
  const answer = await http.ask("PUT", `${files}${path}`, { body: "x" });
  expect(answer.json()).toMatchObject({ status: 400, code: "INVALID" });
});

test("names with spaces, percent signs and other scripts are the same by every door", async () => {
  const name = "a b%c ü 语";
  await http.ask("PUT", `${files}/h/${encodeURIComponent(name)}`, { body: "x" });
  expect((await federation.client().stat(`/h/${name}`)).info.name).toBe(name);
  expect((await federation.ok(["get", `/h/${name}`])).stdout).toBe("x");
});

test("without a token or with a wrong one nothing is answered but health", async () => {
  for (const token of [null, "wrong", `${federation.context().token}x`]) {
    for (const path of [`${files}/h/b`, "/api/v1/list/", "/metrics", "/api/v1/watch/h"]) {
      const answer = await http.ask("GET", path, { token });
      expect(answer.json()).toMatchObject({ status: 401, code: "UNAUTHENTICATED" });
    }
  }
  expect((await http.ask("GET", "/healthz", { token: null })).status).toBe(200);
  expect((await http.ask("GET", "/readyz", { token: null })).status).toBe(200);
  const wrong = federation.client({ token: "wrong" });
  await expect(wrong.get("/h/b")).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
});

test("the door speaks TLS 1.3 only, and plaintext gets nothing", async () => {
  expect(await http.handshake("TLSv1.3")).toBe("TLSv1.3");
  await expect(http.handshake("TLSv1.2")).rejects.toThrow();

  const [host, port] = federation.context().endpoints[0]!.split(":");
  const said = await new Promise<string>((resolve) => {
    const parts: Buffer[] = [];
    const socket = connect(Number(port), host, () => socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"));
    socket.on("data", (part) => parts.push(part));
    socket.on("close", () => resolve(Buffer.concat(parts).toString("latin1")));
    socket.on("error", () => {});
    socket.setTimeout(12_000, () => socket.destroy());
  });
  expect(said).not.toContain("200");
});

test("openapi.json names every route, and metrics have help, leader and staleness", async () => {
  const { paths } = (await http.ask("GET", "/openapi.json")).json<{ paths: Record<string, object> }>();
  for (const wanted of ["files", "list", "stat", "move", "copy", "mkdir", "batch", "locks", "watch"])
    expect(Object.keys(paths).some((path) => path.startsWith(`/api/v1/${wanted}`))).toBe(true);
  const metrics = (await http.ask("GET", "/metrics")).body.toString();
  expect(metrics).toMatch(/^# HELP nexus_\w*leader/m);
  expect(metrics).toMatch(/zone="root"/);
});

test("bodies and headers above the limits are refused with their code", async () => {
  const big = await http.ask("POST", "/api/v1/batch", {
    headers: { "content-type": "application/json", "content-length": String(7 * 1024 * 1024) },
    body: "[",
    unfinished: true,
  });
  expect(big.json()).toMatchObject({ status: 413, code: "TOO_LARGE" });
  expect((await http.json("POST", "/api/v1/mkdir", { path: 7 })).json()).toMatchObject({ status: 400 });
  const options = { body: "x", headers: { "nexus-min-copies": "9" } };
  expect((await http.ask("PUT", `${files}/h/copies`, options)).json()).toMatchObject({ code: "COPIES_UNAVAILABLE" });
  expect((await http.ask("GET", `${files}/h/copies`)).status).toBe(404);
});

test("a request id makes an HTTP write happen once", async () => {
  const id = randomBytes(16).toString("hex");
  const put = () =>
    http.ask("PUT", `${files}/h/once`, { body: "x", headers: { "nexus-request-id": id, "if-none-match": "*" } });
  const [first, second] = [await put(), await put()];
  expect([first.status, second.status]).toEqual([201, 201]);
  expect(second.json<{ file: { revision: string } }>().file.revision).toBe(
    first.json<{ file: { revision: string } }>().file.revision,
  );
});
