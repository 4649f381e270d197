import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DoorRig } from "./testing/rig.ts";

let rig: DoorRig;
beforeAll(async () => {
  rig = await DoorRig.start();
});
afterAll(() => rig.stop());

const put = (path: string, body = path) => rig.ask("PUT", `/api/v1/files${path}`, { body });
const get = async (path: string) => (await rig.ask("GET", `/api/v1/files${path}`)).text;
const names = (answer: { json: { entries: { name: string }[] } }) => answer.json.entries.map((entry) => entry.name);
const paths = (answer: { json: { entries: { path: string }[] } }) => answer.json.entries.map((entry) => entry.path);

describe("listing", () => {
  test("shows the entries of a directory, by prefix, in pages, recursively and rolled up", async () => {
    for (const name of ["a1", "a2", "b1", "d/x", "d/y", "d/e/z"]) await put(`/list/${name}`);
    const list = (query: string) => rig.ask("GET", `/api/v1/list/list${query}`);

    expect(names(await list(""))).toEqual(["a1", "a2", "b1", "d"]);
    expect(names(await list("?prefix=a"))).toEqual(["a1", "a2"]);
    expect(paths(await list("?recursive=true"))).toEqual(
      expect.arrayContaining(["/list/d/e/z", "/list/d/x", "/list/d/y"]),
    );
    const seen: string[] = [];
    for (let page = ""; ; ) {
      const answer = await list(`?limit=2&page=${encodeURIComponent(page)}`);
      seen.push(...names(answer));
      page = answer.json.nextPage;
      if (page === "") break;
    }
    expect(seen).toEqual(["a1", "a2", "b1", "d"]);
    const rolled = await list("?recursive=true&delimiter=/");
    expect(rolled.status).toBe(200);
    expect(paths(rolled)).not.toContain("/list/d/e/z");
  });

  test("the root is listed with and without its slash", async () => {
    await put("/rooted");
    expect(names(await rig.ask("GET", "/api/v1/list/"))).toContain("rooted");
  });

  test("a limit outside of 1 to 1000, a wrong page and a file instead of a directory are refused", async () => {
    await put("/afile");
    for (const query of [
      "?limit=0",
      "?limit=1001",
      "?limit=x",
      "?recursive=maybe",
      "?page=zzz",
      "?page=p1.%2F",
      "?page=p1.",
      "?prefix=%ff",
      "?prefix=%zz",
    ]) {
      expect(await rig.ask("GET", `/api/v1/list/list${query}`)).toMatchObject({
        json: { code: "INVALID", status: 400 },
      });
    }
    expect(await rig.ask("GET", "/api/v1/list/afile")).toMatchObject({ json: { code: "WRONG_TYPE", status: 409 } });
    expect(await rig.ask("GET", "/api/v1/list/nowhere")).toMatchObject({ json: { code: "NOT_FOUND", status: 404 } });
  });
});

describe("stat and metadata", () => {
  test("user metadata is set, changed, removed and kept by the file", async () => {
    await put("/meta/f", "x");
    const patch = (body: unknown, headers = {}) => rig.json("PATCH", "/api/v1/stat/meta/f", body, { headers });

    const set = await patch({ set: { owner: "ann", kind: "note" } });
    const changed = await patch({ set: { owner: "bob" }, remove: ["kind"] });
    const stat = await rig.ask("GET", "/api/v1/stat/meta/f");

    expect(set.json.file.metadata).toEqual({ owner: "ann", kind: "note" });
    expect(changed.status).toBe(200);
    expect(stat.json.file).toMatchObject({ type: "file", size: 1, metadata: { owner: "bob" } });
    expect(await patch({ set: { a: "1" } }, { "if-match": `"${"0".repeat(64)}"` })).toMatchObject({ status: 412 });
    expect(await patch({ set: { a: 1 } })).toMatchObject({ json: { code: "INVALID" } });
    expect(await get("/meta/f")).toBe("x");
  });
});

describe("a metadata key __proto__", () => {
  test("is refused in headers and bodies, and nothing is changed", async () => {
    await put("/proto/f", "x");
    const headers = { "content-type": "application/json" };
    const set = '{"set":{"__proto__":"x"}}';
    const operations =
      '{"operations":[{"op":"write","path":"/proto/b","content":"eA==","metadata":{"__proto__":"x"}}]}';

    const answers = [
      await rig.ask("PUT", "/api/v1/files/proto/h", { body: "x", headers: { "nexus-meta-__proto__": "x" } }),
      await rig.ask("PATCH", "/api/v1/stat/proto/f", { body: set, headers }),
      await rig.ask("POST", "/api/v1/batch", { body: operations, headers }),
    ];

    for (const { json } of answers)
      expect(json).toMatchObject({ code: "INVALID", detail: expect.stringContaining("__proto__") });
    expect(names(await rig.ask("GET", "/api/v1/list/proto"))).toEqual(["f"]);
  });
});

describe("operations on paths", () => {
  test("mkdir makes a directory, parents only when asked", async () => {
    const mkdir = (body: object) => rig.json("POST", "/api/v1/mkdir", body);

    expect(await mkdir({ path: "/m/a/b" })).toMatchObject({ json: { code: "NOT_FOUND" } });
    expect((await mkdir({ path: "/m/a/b", parents: true })).json.file).toMatchObject({ type: "directory" });
    expect(await mkdir({ path: "/m/a/b", parents: true })).toMatchObject({ status: 200 });
    expect(await mkdir({ path: "/m/a/b" })).toMatchObject({ json: { code: "ALREADY_EXISTS", status: 409 } });
    expect(await rig.ask("DELETE", "/api/v1/files/m/a")).toMatchObject({ json: { code: "NOT_EMPTY", status: 409 } });
    expect(await rig.ask("DELETE", "/api/v1/files/m/a?recursive=true")).toMatchObject({ status: 204 });
  });

  test("move and copy take a file along and replace only when told", async () => {
    await put("/mv/a", "one");
    await put("/mv/b", "two");
    const move = (body: object) => rig.json("POST", "/api/v1/move", body);

    expect(await move({ from: "/mv/a", to: "/mv/b" })).toMatchObject({ json: { code: "ALREADY_EXISTS" } });
    expect(await move({ from: "/mv/a", to: "/mv/c" })).toMatchObject({ status: 200 });
    expect(await rig.json("POST", "/api/v1/copy", { from: "/mv/c", to: "/mv/d" })).toMatchObject({ status: 200 });
    expect(await move({ from: "/mv/d", to: "/mv/b", replace: true })).toMatchObject({ status: 200 });
    expect([await get("/mv/b"), await get("/mv/c")]).toEqual(["one", "one"]);
    expect(await move({ from: "/mv/none", to: "/mv/x" })).toMatchObject({ json: { code: "NOT_FOUND" } });
    expect(await move({ from: "/zone:all/mv/b", to: "/mv/x" })).toMatchObject({ json: { code: "INVALID" } });
    expect(await move({ from: "/mv/../b", to: "/mv/x" })).toMatchObject({ json: { code: "INVALID" } });
    expect(await rig.json("POST", "/api/v1/move", { from: "/mv/b" })).toMatchObject({ json: { code: "INVALID" } });
    expect(await move({ from: "/zone:all/mv/b", to: "/zone:all/mv/x" })).toMatchObject({ status: 200 });
  });

  test("a batch is made whole or not at all", async () => {
    const content = Buffer.from("batched").toString("base64");
    const batch = (operations: unknown) => rig.json("POST", "/api/v1/batch", { operations });
    const done = await batch([
      { op: "mkdir", path: "/bt", parents: true },
      { op: "write", path: "/bt/a", content, metadata: { k: "v" } },
      { op: "copy", from: "/bt/a", to: "/bt/b" },
      { op: "metadata", path: "/bt/b", set: { k: "w" } },
      { op: "move", from: "/bt/b", to: "/bt/c" },
      { op: "delete", path: "/bt/a" },
    ]);
    const refused = await batch([
      { op: "write", path: "/bt/n", content },
      { op: "write", path: "/bt/c", content, condition: { ifNoneMatch: "*" } },
    ]);

    expect(done.status).toBe(200);
    expect(done.json.results).toHaveLength(6);
    expect(names(await rig.ask("GET", "/api/v1/list/bt"))).toEqual(["c"]);
    expect(refused.json).toMatchObject({ code: "PRECONDITION_FAILED", status: 412 });
    expect(await batch([])).toMatchObject({ json: { code: "INVALID" } });
    expect(await batch([{ op: "chmod", path: "/x" }])).toMatchObject({ json: { code: "INVALID" } });
    expect(await batch([{ op: "write", path: "/x", content: "not base64!" }])).toMatchObject({
      json: { code: "INVALID" },
    });
    expect(
      (
        await batch([
          { op: "mkdir", path: "/ok" },
          { op: "delete", path: "/a/../b" },
        ])
      ).json.detail,
    ).toContain("operations[1]");
  });

  test("a body that is too large, no JSON, or of another type is refused by its name", async () => {
    const big = await rig.ask("POST", "/api/v1/batch", {
      headers: { "content-type": "application/json", "content-length": 7 * 1024 * 1024 },
      body: Buffer.alloc(7 * 1024 * 1024, 32),
    });
    const broken = await rig.ask("POST", "/api/v1/move", {
      headers: { "content-type": "application/json" },
      body: "{broken",
    });
    const typed = await rig.ask("POST", "/api/v1/move", { headers: { "content-type": "text/xml" }, body: "<a/>" });

    expect(big.json).toMatchObject({ code: "TOO_LARGE", status: 413 });
    expect(broken.json).toMatchObject({ code: "INVALID", status: 400 });
    expect(typed.json).toMatchObject({ code: "INVALID" });
  });

  test("an unknown route and a wrong method are problems too", async () => {
    for (const [method, target, code, status] of [
      ["GET", "/api/v1/none/x", "NOT_FOUND", 404],
      ["POST", "/api/v1/files/x", "INVALID", 405],
      ["GET", "/", "NOT_FOUND", 404],
      ["PATCH", "/api/v1/move", "INVALID", 405],
    ] as const) {
      const answer = await rig.ask(method, target);
      expect(answer.headers["content-type"]).toContain("application/problem+json");
      expect(answer.json).toMatchObject({ code, status, advice: expect.any(String) });
    }
  });
});
