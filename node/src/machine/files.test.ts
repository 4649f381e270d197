import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isRefusal } from "../base/errors.ts";
import { codeOf, etagOf, Rig, when, writeOp } from "./testing/rig.ts";

const names = (rig: Rig, path: string, options = {}) => {
  const listing = rig.machine.list(path, options);
  return isRefusal(listing) ? listing.code : listing.entries.map((entry) => entry.path);
};
const text = (rig: Rig, path: string) => {
  const read = rig.machine.read(path);
  return isRefusal(read) ? read.code : Buffer.from(read.content).toString();
};
const rename = (from: string, to: string, replace = false) => ({
  $case: "rename" as const,
  value: { from, to, replace, condition: undefined },
});
const copy = (from: string, to: string, replace = false) => ({
  $case: "copy" as const,
  value: { from, to, replace, condition: undefined },
});
const remove = (path: string, recursive = false) => ({
  $case: "delete" as const,
  value: { path, recursive, condition: undefined },
});
const mkdir = (path: string, parents = false) => ({ $case: "mkdir" as const, value: { path, parents } });

describe("files", () => {
  it("a write makes its parents, and a read gives back what was written", () => {
    const rig = new Rig();

    const reply = rig.put("/a/b/c", "hello", { contentType: "text/plain", metadata: { color: "red" } });

    expect(reply.result).toMatchObject({
      $case: "operation",
      value: { existed: false, info: { path: "/a/b/c", size: 5, revision: 2 } },
    });
    expect(text(rig, "/a/b/c")).toBe("hello");
    expect(rig.machine.stat("/a/b/c")).toMatchObject({
      contentType: "text/plain",
      metadata: { color: "red" },
      etag: etagOf("hello"),
    });
    expect(rig.machine.stat("/a/b")).toMatchObject({ type: "directory" });
  });

  it("an overwrite keeps the creation time and replaces content, type and key-values", () => {
    const rig = new Rig();
    rig.put("/f", "one", { contentType: "a/b", metadata: { k: "v" } });
    rig.timeMs += 10;

    rig.put("/f", "");

    expect(rig.machine.stat("/f")).toMatchObject({
      createdMs: 1_000_000,
      modifiedMs: 1_000_010,
      contentType: "",
      metadata: {},
      size: 0,
    });
    expect(text(rig, "/f")).toBe("");
  });

  it("a file in the way of a directory, and a directory in the place of a file, are WRONG_TYPE", () => {
    const rig = new Rig();
    rig.put("/f");

    expect(codeOf(rig.put("/f/g"))).toBe("WRONG_TYPE");
    expect(codeOf(rig.run(mkdir("/d")))).toBe("operation");
    expect(codeOf(rig.put("/d"))).toBe("WRONG_TYPE");
    expect(codeOf(rig.put("/"))).toBe("WRONG_TYPE");
    expect(text(rig, "/d")).toBe("WRONG_TYPE");
  });

  it("paths that break the grammar are INVALID and change nothing", () => {
    const rig = new Rig();
    for (const path of ["", "a", "/a//b", "/a/", "/./a", "/a/..", `/${"x".repeat(256)}`, "/a\u0000b"]) {
      expect(codeOf(rig.put(path)), JSON.stringify(path)).toBe("INVALID");
    }
    expect(names(rig, "/")).toEqual([]);
  });

  it("conditions are judged against what stands at the path", () => {
    const rig = new Rig();
    expect(codeOf(rig.put("/f", "a", { condition: when({ ifExists: true }) }))).toBe("PRECONDITION_FAILED");
    expect(codeOf(rig.put("/f", "a", { condition: when({ ifNoneMatch: true }) }))).toBe("operation");
    expect(codeOf(rig.put("/f", "b", { condition: when({ ifNoneMatch: true }) }))).toBe("PRECONDITION_FAILED");
    expect(codeOf(rig.put("/f", "b", { condition: when({ ifMatch: etagOf("z") }) }))).toBe("PRECONDITION_FAILED");
    expect(codeOf(rig.put("/f", "b", { condition: when({ ifMatch: etagOf("a") }) }))).toBe("operation");
    const there = rig.machine.appliedIndex;
    expect(rig.put("/f", "c", { condition: when({ ifRevision: 3 }) }).result).toMatchObject({
      value: {
        code: "PRECONDITION_FAILED",
        message: `"/f": revision 1.3 was demanded, a file of revision 1.${there} stands there`,
      },
    });
    expect(codeOf(rig.put("/f", "c", { condition: when({ ifRevision: rig.machine.appliedIndex - 1 }) }))).toBe(
      "operation",
    );
    expect(codeOf(rig.put("/g", "c", { condition: when({ ifRevision: 0 }) }))).toBe("operation");
    expect(
      codeOf(
        rig.run({
          $case: "delete",
          value: { path: "/none", recursive: false, condition: when({ ifMatch: etagOf("a") }) },
        }),
      ),
    ).toBe("PRECONDITION_FAILED");
  });

  it("a directory is renamed with all below it, and its old paths are free", () => {
    const rig = new Rig();
    rig.put("/a/b/c", "1");
    rig.put("/a/b/d/e", "2");

    const reply = rig.run(rename("/a/b", "/x/y"));

    expect(codeOf(reply)).toBe("operation");
    expect([text(rig, "/x/y/c"), text(rig, "/x/y/d/e"), text(rig, "/a/b/c")]).toEqual(["1", "2", "NOT_FOUND"]);
    rig.put("/a/b/c", "3");
    expect([text(rig, "/a/b/c"), text(rig, "/x/y/c")]).toEqual(["3", "1"]);
  });

  it("a rename refuses itself below, an occupied target without replace, and a full directory even with", () => {
    const rig = new Rig();
    rig.put("/a/f", "1");
    rig.put("/b/g", "2");

    expect(codeOf(rig.run(rename("/a", "/a/f/x")))).toBe("WRONG_TYPE");
    expect(codeOf(rig.run(rename("/a", "/a/x")))).toBe("INVALID");
    expect(codeOf(rig.run(rename("/a/f", "/b/g")))).toBe("ALREADY_EXISTS");
    expect(codeOf(rig.run(rename("/a", "/b", true)))).toBe("NOT_EMPTY");
    expect(codeOf(rig.run(rename("/a/f", "/b", true)))).toBe("WRONG_TYPE");
    expect(codeOf(rig.run(rename("/none", "/c")))).toBe("NOT_FOUND");
    expect(codeOf(rig.run(rename("/a/f", "/b/g", true)))).toBe("operation");
    expect(text(rig, "/b/g")).toBe("1");
  });

  it("an occupied target is told what would help: replace by its like, or a path below a directory", () => {
    const rig = new Rig();
    rig.put("/f", "1");
    rig.put("/g", "2");
    rig.put("/d/x", "3");
    const said = (operation: ReturnType<typeof rename> | ReturnType<typeof copy>) => {
      const { result } = rig.run(operation);
      return result?.$case === "failure" ? result.value.message : result?.$case;
    };

    expect(said(rename("/f", "/g"))).toBe('a file stands at "/g"; say replace to put it aside');
    for (const move of [rename, copy]) {
      expect(said(move("/f", "/d"))).toBe(
        'a directory stands at "/d"; a file cannot take its place, but may go below it: "/d/f"',
      );
    }
    expect(said(rename("/d", "/f"))).toBe('a file stands at "/f"; a directory cannot take its place');
  });

  it("a metadata key that objects cannot hold as others is refused, not dropped", () => {
    const rig = new Rig();
    rig.put("/a", "1");
    const metadata = Object.fromEntries([["__proto__", "x"]]);
    const set = { path: "/a", set: metadata, remove: [], contentType: "", condition: undefined };

    expect(codeOf(rig.put("/b", "1", { metadata }))).toBe("INVALID");
    expect(codeOf(rig.run({ $case: "setMetadata", value: set }))).toBe("INVALID");
    expect(rig.machine.stat("/a")).toMatchObject({ metadata: {} });
  });

  it("a copy is a file of its own; a directory is not copied", () => {
    const rig = new Rig();
    rig.put("/a", "1", { metadata: { k: "v" } });

    rig.run(copy("/a", "/d/b"));
    rig.put("/a", "2");

    expect(text(rig, "/d/b")).toBe("1");
    expect(rig.machine.stat("/d/b")).toMatchObject({ metadata: { k: "v" } });
    expect(codeOf(rig.run(copy("/d", "/e")))).toBe("WRONG_TYPE");
    expect(codeOf(rig.run(copy("/a", "/d/b")))).toBe("ALREADY_EXISTS");
    expect(codeOf(rig.run(copy("/a", "/d/b", true)))).toBe("operation");
    expect(text(rig, "/d/b")).toBe("2");
  });

  it("a directory with entries is deleted only recursively, and within the limit", () => {
    const rig = new Rig({ limits: { commandEntriesMax: 5 } });
    for (const name of ["1", "2", "3", "4", "5", "6"]) rig.put(`/d/${name}`);

    expect(codeOf(rig.run(remove("/d")))).toBe("NOT_EMPTY");
    expect(rig.run(remove("/d", true)).result).toMatchObject({ value: { code: "TOO_LARGE", details: { limit: "5" } } });
    rig.run(remove("/d/1"));
    expect(codeOf(rig.run(remove("/d", true)))).toBe("operation");
    expect(names(rig, "/")).toEqual([]);
    expect(codeOf(rig.run(remove("/")))).toBe("INVALID");
    expect(codeOf(rig.run(remove("/d")))).toBe("NOT_FOUND");
  });

  it("mkdir needs its parents unless it makes them, and then may find the directory there", () => {
    const rig = new Rig();
    expect(codeOf(rig.run(mkdir("/a/b")))).toBe("NOT_FOUND");
    expect(codeOf(rig.run(mkdir("/a/b", true)))).toBe("operation");
    expect(rig.run(mkdir("/a/b", true)).result).toMatchObject({ value: { existed: true } });
    expect(codeOf(rig.run(mkdir("/a/b")))).toBe("ALREADY_EXISTS");
  });

  it("key-values are set and removed one by one, within the limit", () => {
    const rig = new Rig();
    rig.put("/f", "x", { metadata: { a: "1", b: "2" } });
    const set = (value: object) =>
      rig.run({
        $case: "setMetadata",
        value: { path: "/f", set: {}, remove: [], condition: undefined, contentType: "", ...value },
      });

    expect(codeOf(set({ set: { c: "3" }, remove: ["a"] }))).toBe("operation");
    expect(rig.machine.stat("/f")).toMatchObject({ metadata: { b: "2", c: "3" } });
    expect(codeOf(set({ set: { big: "x".repeat(9000) } }))).toBe("TOO_LARGE");
  });

  it("a batch is all or nothing and names the operation that failed", () => {
    const rig = new Rig();
    rig.put("/old", "1");
    const before = rig.bytes();
    const operations = [writeOp("/n/1", "a"), remove("/old"), remove("/none"), writeOp("/n/2", "b")].map((op) => ({
      op,
    }));

    const reply = rig.run({ $case: "batch", value: { operations } });

    expect(reply.result).toMatchObject({ value: { code: "NOT_FOUND", details: { operation: "2" } } });
    expect(text(rig, "/old")).toBe("1");
    expect(names(rig, "/")).toEqual(["/old"]);
    expect(rig.effects).toEqual([]);
    expect(rig.bytes().length).toBe(before.length);
    operations.splice(2, 1);
    const done = rig.run({ $case: "batch", value: { operations } });
    expect(done.result).toMatchObject({
      $case: "batch",
      value: { results: [{ existed: false }, { existed: true }, { existed: false }] },
    });
    expect(names(rig, "/", { recursive: true })).toEqual(["/n", "/n/1", "/n/2"]);
  });

  it("content above the inline limit is refused, and so is a digest that is none", () => {
    const rig = new Rig();
    expect(codeOf(rig.put("/f", "x".repeat(32 * 1024 + 1)))).toBe("TOO_LARGE");
    expect(codeOf(rig.put("/f", "x", { etag: Buffer.alloc(3) }))).toBe("INVALID");
  });
});

describe("listing", () => {
  it("pages in order of the names' bytes, with prefix", () => {
    const rig = new Rig();
    for (const name of ["b", "a", "é", "\u{1f600}", "\uff5e", "ba", "Z"]) rig.put(`/d/${name}`);

    const first = rig.machine.list("/d", { limit: 3 });
    if (isRefusal(first)) throw new Error(first.message);
    const rest = rig.machine.list("/d", { page: first.nextPage });

    expect(first.entries.map((entry) => entry.name)).toEqual(["Z", "a", "b"]);
    expect(rest).toMatchObject({ nextPage: "" });
    expect(isRefusal(rest) ? [] : rest.entries.map((entry) => entry.name)).toEqual(["ba", "é", "\uff5e", "\u{1f600}"]);
    expect(names(rig, "/d", { prefix: "b" })).toEqual(["/d/b", "/d/ba"]);
    expect(names(rig, "/d/b")).toBe("WRONG_TYPE");
    expect(names(rig, "/none")).toBe("NOT_FOUND");
    expect(names(rig, "/d", { limit: 1001 })).toBe("INVALID");
  });

  it("a recursive listing walks depth first and goes on where the page ended", () => {
    const rig = new Rig();
    for (const path of ["/d/a/1", "/d/a/2", "/d/b", "/d/c/x/y", "/e"]) rig.put(path);
    const all = ["/d/a", "/d/a/1", "/d/a/2", "/d/b", "/d/c", "/d/c/x", "/d/c/x/y"];
    for (const limit of [1, 2, 3, 7]) {
      const seen: string[] = [];
      let page = "";
      do {
        const listing = rig.machine.list("/d", { recursive: true, limit, page });
        if (isRefusal(listing)) throw new Error(listing.message);
        seen.push(...listing.entries.map((entry) => entry.path));
        page = listing.nextPage;
      } while (page !== "");
      expect(seen).toEqual(all);
    }
    expect(names(rig, "/d", { recursive: true, prefix: "c/x" })).toEqual(["/d/c/x", "/d/c/x/y"]);
  });

  it("a delimiter rolls up what follows it, over pages too", () => {
    const rig = new Rig();
    for (const path of ["/log-1-a", "/log-1-b", "/log-2-a", "/other"]) rig.put(path);
    for (const limit of [1, 2, 10]) {
      const seen: string[] = [];
      let page = "";
      do {
        const listing = rig.machine.list("/", { recursive: true, prefix: "log-", delimiter: "-", limit, page });
        if (isRefusal(listing)) throw new Error(listing.message);
        seen.push(...listing.entries.map((entry) => entry.name));
        page = listing.nextPage;
      } while (page !== "");
      expect(seen).toEqual(["log-1-", "log-2-"]);
    }
  });

  it("pages together are the whole listing, whatever prefix, delimiter and page size", () => {
    const names = fc.array(fc.constantFrom("a", "a-b", "b", "-", "é"), { minLength: 1, maxLength: 3 });
    const options = fc.record({
      prefix: fc.constantFrom("", "a", "a-", "a/", "b/a"),
      delimiter: fc.constantFrom(undefined, "-", "/", "b"),
      limit: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(names, { maxLength: 12 }), options, (paths, { limit, ...rest }) => {
        const rig = new Rig();
        for (const parts of paths) rig.put(`/${parts.join("/")}`);
        const whole = rig.machine.list("/", { ...rest, recursive: true });
        const seen: string[] = [];
        let page = "";
        for (let turn = 0; turn < 200; turn++) {
          const listing = rig.machine.list("/", { ...rest, recursive: true, limit, page });
          if (isRefusal(listing)) throw new Error(listing.message);
          seen.push(...listing.entries.map((entry) => entry.path));
          page = listing.nextPage;
          if (page === "") break;
        }
        expect(page).toBe("");
        expect(seen).toEqual(isRefusal(whole) ? [] : whole.entries.map((entry) => entry.path));
      }),
      { numRuns: 1000 },
    );
  });
});
