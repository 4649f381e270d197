import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromHex, hexOf } from "../base/bytes.ts";
import { isRefusal } from "../base/errors.ts";
import { printFence } from "../base/fence.ts";
import type { Caller } from "../box/api.ts";
import {
  addressBehind,
  conditionOf,
  durationMs,
  etagListed,
  metadataOf,
  optionsOf,
  parseEtag,
  queryProblem,
  rangeOf,
} from "./http-requests.ts";

const caller: Caller = { principal: "token:t", kind: "client", check: () => undefined };
const hex = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map(hexOf);
const optionNames = [
  "nexus-timeout",
  "nexus-max-staleness",
  "nexus-min-copies",
  "nexus-after",
  "nexus-read-preference",
  "nexus-write-concern",
  "nexus-request-id",
  "nexus-request-time",
];
const conditionNames = ["if-match", "if-none-match", "nexus-fence", "nexus-lock-path"];
const anyHeaders = (names: string[]) =>
  fc.dictionary(
    fc.constantFrom(...names),
    fc.oneof(
      fc.string(),
      fc.string({ unit: "binary" }),
      fc.nat().map(String),
      hex(16),
      hex(32).map((etag) => `"${etag}"`),
    ),
  );

describe("headers", () => {
  test("whatever they hold, they give options in their bounds or one INVALID that names a header", () => {
    fc.assert(
      fc.property(anyHeaders(optionNames), (headers) => {
        const options = optionsOf(headers, caller);
        if (isRefusal(options))
          return void expect(optionNames.some((name) => options.message.includes(name))).toBe(true);
        expect(options.principal).toBe("token:t");
        expect(options.timeoutMs).toBeLessThanOrEqual(120_000);
        expect([0, 16]).toContain(options.requestId.length);
        expect(Number.isSafeInteger(options.requestTimeMs)).toBe(true);
      }),
    );
  });

  test("whatever they hold, they give a condition or one INVALID that names a header", () => {
    fc.assert(
      fc.property(anyHeaders(conditionNames), (headers) => {
        const condition = conditionOf(headers);
        if (isRefusal(condition))
          return void expect(conditionNames.some((name) => condition.message.includes(name))).toBe(true);
        expect(condition === undefined).toBe(
          Object.keys(headers).every((name) => name === "nexus-lock-path" && !headers[name]),
        );
      }),
    );
  });

  test("a printed fence, an etag and a request id come through as they are", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 20 }),
        fc.integer({ min: 1, max: 2 ** 40 - 1 }),
        hex(32),
        hex(16),
        (...all) => {
          const [generation, counter, etag, id] = all;
          const condition = conditionOf({ "nexus-fence": printFence(generation, counter), "if-match": `"${etag}"` });
          expect(condition).toMatchObject({ fenceGeneration: generation, fenceCounter: counter });
          expect(parseEtag(`"${etag}"`)).toEqual(fromHex(etag));
          const options = optionsOf({ "nexus-request-id": id.toUpperCase() }, caller);
          expect(isRefusal(options) ? "" : hexOf(options.requestId)).toBe(id);
        },
      ),
    );
  });

  test("durations are milliseconds, seconds or minutes", () => {
    expect(["15", "15ms", "2s", "1m"].map(durationMs)).toEqual([15, 15, 2000, 60_000]);
    expect(["", "1h", "-1", "1.5s", "ms", "1e3"].map(durationMs)).toEqual(Array(6).fill(undefined));
  });

  test("metadata comes from its own headers only", () => {
    expect(metadataOf({ "nexus-meta-a": "1", "nexus-after": "2", host: "x" })).toEqual({ a: "1" });
    expect(Object.keys(metadataOf({ "nexus-meta-__proto__": "1" }))).toEqual(["__proto__"]);
  });

  test("a query is percent-encoded UTF-8, or INVALID by the parameter's name", () => {
    for (const good of ["/x", "/x?", "/x?a=%C3%A4&b=%2F%00&c", "/x?a=b+c&&="])
      expect(queryProblem(good)).toBeUndefined();
    for (const bad of ["/x?prefix=%ff", "/x?a=1&prefix=%", "/x?prefix=%zz", "/x?prefix=%ed%a0%80", "/x?prefix=\u00e4"])
      expect(queryProblem(bad)).toMatchObject({ code: "INVALID", message: expect.stringContaining("prefix") });
  });

  test("an etag is found in any list, a weak one only where weak counts", () => {
    fc.assert(
      fc.property(fc.array(hex(32)), hex(32), fc.nat(8), (others, etag, at) => {
        const list = others.map((other) => `"${other}"`);
        const bytes = fromHex(etag)!;
        expect(etagListed(list.toSpliced(at, 0, `"${etag}"`).join(", "), bytes, false)).toBe(true);
        expect(etagListed(list.toSpliced(at, 0, `W/"${etag}"`).join(","), bytes, true)).toBe(true);
        if (!others.includes(etag))
          expect(etagListed(list.toSpliced(at, 0, `W/"${etag}"`).join(","), bytes, false)).toBe(false);
      }),
    );
  });
});

describe("ranges", () => {
  test("lie inside of the file, whatever was asked", () => {
    const bound = fc.oneof(fc.constant(""), fc.nat(300).map(String), fc.constant("999999999999999"));
    fc.assert(
      fc.property(bound, bound, fc.nat(200), (first, last, size) => {
        const range = rangeOf(`bytes=${first}-${last}`, size);
        if (range === undefined || range === "unsatisfiable") return;
        expect(range.length).toBeGreaterThan(0);
        expect(range.offset + range.length).toBeLessThanOrEqual(size);
      }),
    );
    fc.assert(fc.property(fc.string(), fc.nat(), (header, size) => void rangeOf(header, size)));
  });
});

describe("targets", () => {
  test("give a normal path or INVALID, and never one outside of what was named", () => {
    const unit = fc.constantFrom(
      "a",
      "/",
      ".",
      "..",
      "%2F",
      "%2e",
      "%00",
      "%",
      "%25",
      "%C3%A4",
      "%FF",
      "?",
      "#",
      "zone:",
      " ",
    );
    fc.assert(
      fc.property(
        fc.array(unit).map((units) => units.join("")),
        (rest) => {
          const address = addressBehind("/api/v1/files", `/api/v1/files/${rest}`);
          if (isRefusal(address)) return void expect(address.code).toBe("INVALID");
          expect(address.path.startsWith("/")).toBe(true);
          const segments = address.path.slice(1).split("/");
          if (address.path !== "/") for (const one of segments) expect(["", ".", ".."]).not.toContain(one);
          expect(segments.length).toBeLessThanOrEqual(rest.split("/").length);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
