import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isRefusal } from "../base/errors.ts";
import { readAccessTable } from "./access-file.ts";
import { type AccessTable, authenticate, checkRight, covers, type Principal } from "./checks.ts";
import { identityUri, parseIdentityUri } from "./identities.ts";

const hash = (text: string) => new Uint8Array(createHash("sha256").update(text).digest());
const nowMs = 1_000_000;
const grants = [
  { prefix: "/acme/docs", rights: ["read", "write"] },
  { prefix: "/acme", rights: ["read"] },
] as const;
const table: AccessTable = {
  federation: "acme",
  tokens: [
    { name: "ci", federation: "acme", sha256: hash("secret"), grants },
    { name: "old", federation: "acme", sha256: hash("stale"), grants, expiresAtMs: nowMs },
    { name: "other", federation: "globex", sha256: hash("foreign"), grants },
  ],
  users: [{ name: "ann", grants }],
};
const ask = (shown: Parameters<typeof authenticate>[1]) => authenticate({ table, hash, nowMs }, shown);
const principal = (shown: Parameters<typeof authenticate>[1]): Principal => {
  const result = ask(shown);
  if (isRefusal(result)) throw new Error(result.message);
  return result;
};

describe("authentication", () => {
  test("a known token gives its principal", () => {
    expect(ask({ bearer: "secret" })).toEqual({ name: "token:ci", grants });
  });

  test.each([
    ["absent", {}, "neither a bearer token nor a client certificate"],
    ["wrong", { bearer: "guess" }, "is not known"],
    ["empty", { bearer: "" }, "1 to 4096 characters"],
    ["endless", { bearer: "x".repeat(5000) }, "1 to 4096 characters"],
    ["expired", { bearer: "stale" }, "token old has expired"],
    ["of another federation", { bearer: "foreign" }, "for federation globex, this is acme"],
  ])("a token that is %s is refused as unauthenticated", (_name, shown, reason) => {
    const result = ask(shown);

    expect(isRefusal(result) && result.code).toBe("UNAUTHENTICATED");
    expect(isRefusal(result) && result.message).toContain(reason);
  });

  test("a wrong token is not rescued by a good certificate", () => {
    const identity = { federation: "acme", kind: "operator", id: "o1" } as const;

    expect(isRefusal(ask({ bearer: "guess", identity }))).toBe(true);
  });

  test("operators may do everything, users what the table says, strangers nothing", () => {
    const of = (kind: "operator" | "user", id: string) => principal({ identity: { federation: "acme", kind, id } });

    expect(checkRight(of("operator", "o1"), "admin", "/")).toBeUndefined();
    expect(checkRight(of("user", "ann"), "read", "/acme/x")).toBeUndefined();
    expect(checkRight(of("user", "ann"), "admin", "/")?.code).toBe("DENIED");
    expect(checkRight(of("user", "eve"), "read", "/acme/x")?.code).toBe("DENIED");
    expect(isRefusal(ask({ identity: { federation: "globex", kind: "operator", id: "o1" } }))).toBe(true);
  });
});

describe("rights", () => {
  const ci = principal({ bearer: "secret" });

  test("a grant covers its prefix and what is below, not names that only begin alike", () => {
    expect(checkRight(ci, "write", "/acme/docs")).toBeUndefined();
    expect(checkRight(ci, "write", "/acme/docs/a/b")).toBeUndefined();
    expect(checkRight(ci, "write", "/acme/docs2")).toEqual({
      code: "DENIED",
      message: "token:ci has no write right on /acme/docs2",
    });
    expect(checkRight(ci, "lock", "/acme/docs/a")?.code).toBe("DENIED");
  });

  test.each(["/acme/docs/../secret", "/acme//docs", "acme/docs", "/acme/docs/", "/acme/."])(
    "a path that is not normalised is refused: %s",
    (path) => {
      expect(checkRight(ci, "read", path)?.code).toBe("INVALID");
    },
  );

  test("covering is what a slow comparison of segments says", () => {
    const segment = fc.constantFrom("a", "b", "ab");
    const path = fc.array(segment, { maxLength: 4 }).map((segments) => `/${segments.join("/")}`);
    fc.assert(
      fc.property(path, path, (prefix, whole) => {
        const a = prefix.split("/").filter(Boolean);
        const b = whole.split("/").filter(Boolean);
        expect(covers(prefix, whole)).toBe(a.length <= b.length && a.every((one, i) => one === b[i]));
      }),
    );
  });
});

describe("identity names", () => {
  test("survive printing and reading", () => {
    const identity = { federation: "acme", kind: "box", id: "a-1.x" } as const;

    expect(parseIdentityUri(identityUri(identity))).toEqual(identity);
  });

  test.each([
    "spiffe://acme/box",
    "spiffe://acme/box/",
    "spiffe://acme/box/a/b",
    "spiffe://acme/pod/a",
    "spiffe:///box/a",
    "https://acme/box/a",
    "spiffe://acme/box/a%2Fb",
    "spiffe://acme/box/.",
  ])("anything else is no identity: %s", (uri) => {
    expect(parseIdentityUri(uri)).toBeUndefined();
  });
});

describe("the access file", () => {
  test("reads tokens and users", () => {
    const read = readAccessTable("acme", {
      tokens: [
        {
          name: "ci",
          sha256: "ab".repeat(32),
          grants: [{ prefix: "/", rights: ["read"] }],
          expires: "2030-01-01T00:00:00Z",
        },
      ],
      users: [{ name: "ann", grants: [{ prefix: "/x", rights: ["admin"] }] }],
    });

    expect(read).toMatchObject({
      tokens: [{ name: "ci", federation: "acme", expiresAtMs: Date.parse("2030-01-01") }],
      users: [{ name: "ann", grants: [{ prefix: "/x", rights: ["admin"] }] }],
    });
  });

  test.each([
    [{ tokens: [{ name: "ci", sha256: "ab" }] }, "tokens[0].sha256 must be 64 hex digits"],
    [{ users: [{ name: "ann", grants: [{ prefix: "/x/", rights: [] }] }] }, "users[0].grants[0].prefix"],
    [{ users: [{ name: "ann", grants: [{ prefix: "/x", rights: ["fly"] }] }] }, "rights may hold read, write"],
    [{ tokens: {} }, "tokens must be a list"],
    [[], "the file must be an object"],
  ])("names the first wrong field: %j", (json, sentence) => {
    expect(JSON.stringify(readAccessTable("acme", json))).toContain(sentence);
  });
});
