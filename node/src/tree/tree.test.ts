import type { FileInfo, ZoneRule } from "@nexus-federation/proto/records.ts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isRefusal } from "../base/errors.ts";
import { mergeListing } from "./listing.ts";
import { compareText, utf8Size } from "./order.ts";
import { normalisePath, parseAddress, segmentsOf } from "./path.ts";
import { type Pattern, parsePattern } from "./pattern.ts";
import { boundsOf, compileRules, federationPath, rulesProblem } from "./rules.ts";
import { ruleOf } from "./testing/rule.ts";
import { addressOfUrl } from "./url.ts";

const rule = (zone: string, pattern: string): ZoneRule => ruleOf({ zone, pattern, log: 1 });
const pattern = (text: string): Pattern => {
  const parsed = parsePattern(text);
  if (isRefusal(parsed)) throw new Error(parsed.message);
  return parsed;
};

describe("paths", () => {
  it("a path has one normal form, and what has none is INVALID", () => {
    expect(normalisePath("/a/e\u0301")).toBe("/a/\u00e9");
    expect(normalisePath("/")).toBe("/");
    expect(normalisePath(`/${"é".repeat(127)}`)).toBe(`/${"é".repeat(127)}`);
    const wrong = [
      "",
      "a",
      "//",
      "/a/",
      "/a//b",
      "/.",
      "/a/../b",
      "/\u0000",
      "/\ud800",
      `/${"é".repeat(128)}`,
      "/zone:x",
      `/${"a/".repeat(2100)}a`,
    ];
    for (const text of wrong)
      expect(normalisePath(text), JSON.stringify(text.slice(0, 20))).toMatchObject({ code: "INVALID" });
  });

  it("a zone's own root is addressed in two spellings", () => {
    expect(parseAddress("/zone:cn-data/a/b")).toEqual({ zone: "cn-data", path: "/a/b" });
    expect(parseAddress("zone://cn-data/a/b")).toEqual({ zone: "cn-data", path: "/a/b" });
    expect(parseAddress("zone://cn-data")).toEqual({ zone: "cn-data", path: "/" });
    expect(parseAddress("/cn/a")).toEqual({ zone: undefined, path: "/cn/a" });
    for (const text of ["/zone:/a", "zone://A/b", "/zone:-a/b", "zone:///a"])
      expect(parseAddress(text), text).toMatchObject({ code: "INVALID" });
  });

  it("a raw URL is split before its segments are decoded, once", () => {
    expect(addressOfUrl("/a%20b/c%252F?x=1#y")).toEqual({ zone: undefined, path: "/a b/c%2F" });
    expect(addressOfUrl("/%E4%B8%AD")).toEqual({ zone: undefined, path: "/中" });
    expect(addressOfUrl("/zone%3Aa/b")).toEqual({ zone: "a", path: "/b" });
    for (const url of ["/a%2Fb", "/a%2fb", "/%00", "/%ff", "/%", "/%4", "/%zz", "/é", "/%2e%2e/a", "a", "/a//b"]) {
      expect(addressOfUrl(url), url).toMatchObject({ code: "INVALID" });
    }
  });

  it("whatever a URL holds, the answer is a normal path or INVALID", () => {
    fc.assert(
      fc.property(fc.oneof(fc.webPath(), fc.string(), fc.string({ unit: "binary" })), (text) => {
        const address = addressOfUrl(`/${text}`);
        if (isRefusal(address)) expect(address.code).toBe("INVALID");
        else expect(normalisePath(address.path)).toBe(address.path);
      }),
    );
  });

  it("text is ordered and measured as its UTF-8 bytes", () => {
    const text = fc.string({ unit: "grapheme" });
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareText(a, b))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
        expect(utf8Size(a)).toBe(Buffer.byteLength(a));
      }),
    );
  });
});

describe("patterns and rules", () => {
  it("a pattern is literals and single stars before a final subtree", () => {
    expect(pattern("/cn/*").text).toBe("/cn/**");
    expect(pattern("/*/locks/*")).toMatchObject({ text: "/*/locks/**", literals: 0 });
    for (const text of ["/cn", "cn/*", "/**/a/*", "/a*/*", "//*", "/./*", "/zone:a/*", ""]) {
      expect(parsePattern(text), text).toMatchObject({ code: "INVALID" });
    }
  });

  it("two rules that tie are refused, and both are named", () => {
    const problem = rulesProblem([rule("a", "/cn/*"), rule("b", "/cn/**")]);
    expect(problem?.message).toMatch(/zone b.*zone a/);
    expect(
      rulesProblem([rule("a", "/cn/*"), { ...rule("b", "/cn/**"), state: "detached" }, rule("c", "/*/x/*")]),
    ).toBeUndefined();
  });

  it("a zone path leaves out the leading literals", () => {
    const trie = compileRules([
      rule("root", "/**"),
      rule("cn", "/cn/**"),
      rule("locks", "/*/locks/*"),
      rule("deep", "/us/a/b/**"),
    ]);
    const at = (path: string) => {
      const match = trie.match(path);
      return match && [match.rule.zone, match.zonePath];
    };
    expect(at("/")).toEqual(["root", "/"]);
    expect(at("/cn")).toEqual(["cn", "/"]);
    expect(at("/cn/locks/x")).toEqual(["cn", "/locks/x"]);
    expect(at("/us/locks/x")).toEqual(["locks", "/us/locks/x"]);
    expect(at("/us/a/b")).toEqual(["deep", "/"]);
    expect(at("/us/a/b/c")).toEqual(["deep", "/c"]);
    expect(at("/us/a")).toEqual(["root", "/us/a"]);
    expect(compileRules([rule("cn", "/cn/**")]).match("/us")).toBeUndefined();
  });

  it("a listing is told the names that lead to rules, but not those that never win", () => {
    const trie = compileRules([
      rule("root", "/**"),
      rule("cn", "/cn/**"),
      rule("locks", "/*/locks/*"),
      rule("deep", "/us/a/b/**"),
    ]);
    const below = (path: string) => trie.childrenBelow(path).map(({ name, rule: found }) => [name, found?.zone]);
    expect(below("/")).toEqual([
      ["cn", "cn"],
      ["us", "root"],
    ]);
    expect(below("/cn")).toEqual([]);
    expect(below("/us")).toEqual([
      ["a", "root"],
      ["locks", "locks"],
    ]);
    expect(below("/eu")).toEqual([["locks", "locks"]]);
  });

  it("the rule's names are merged with the zone's pages, each once", () => {
    const entry = (name: string) => ({ name, path: `/${name}`, type: "file" }) as FileInfo;
    const below = ["a", "c", "x"].map((name) => ({ name, rule: undefined, unavailable: name === "c" }));
    const page = (own: string[], nextPage: string, after: string) =>
      mergeListing({ path: "/", own: { entries: own.map(entry), nextPage }, below, after, prefix: "" }).entries.map(
        (one) => [one.name, one.type],
      );

    expect(page(["b", "c"], "c", "")).toEqual([
      ["a", "directory"],
      ["b", "file"],
      ["c", "directory"],
    ]);
    expect(page(["d"], "", "c")).toEqual([
      ["d", "file"],
      ["x", "directory"],
    ]);
  });

  const segment = fc.constantFrom("a", "b", "c");
  const anyPattern = fc
    .array(fc.constantFrom("a", "b", "*"), { maxLength: 3 })
    .map((parts) => `/${[...parts, "**"].join("/")}`);
  const anyRules = fc
    .uniqueArray(anyPattern, { maxLength: 8 })
    .map((texts) => texts.map((text, i) => rule(`z${i}`, text)));
  const anyPath = fc.array(segment, { maxLength: 5 }).map((parts) => `/${parts.join("/")}`);

  it("the trie finds what comparing every rule, segment by segment, finds", () => {
    fc.assert(
      fc.property(anyRules, anyPath, (rules, path) => {
        const match = compileRules(rules).match(path);
        const slow = slowMatch(rules, path);
        expect(match?.rule.zone).toBe(slow?.zone);
        if (match) expect(federationPath(pattern(match.rule.pattern), match.zonePath)).toBe(path);
      }),
      { numRuns: 2000 },
    );
  });

  it("a zone's exclusions are just what it does not own of its pattern", () => {
    fc.assert(
      fc.property(anyRules, anyPath, (rules, path) => {
        const winner = compileRules(rules).match(path)?.rule.zone;
        for (const one of rules) {
          const matches = slowMatch([one], path) !== undefined;
          const excluded = boundsOf(rules)
            .get(one.zone)!
            .exclusions.some((text) => slowMatch([rule("x", text)], path));
          expect(matches && !excluded).toBe(winner === one.zone);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("a name stands below a listed path exactly when some path through it belongs to another rule", () => {
    fc.assert(
      fc.property(anyRules, fc.array(segment, { maxLength: 2 }), (rules, parts) => {
        const path = `/${parts.join("/")}`;
        const trie = compileRules(rules);
        const served = trie.match(path)?.rule.zone;
        const told = trie.childrenBelow(path).map((one) => one.name);
        const literals = new Set(
          rules
            .flatMap((one) => pattern(one.pattern).segments[parts.length] ?? [])
            .filter((s) => typeof s === "string"),
        );
        const probes = ["a", "b", "c", "other"];
        const tails = [[], ...probes.map((x) => [x]), ...probes.flatMap((x) => probes.map((y) => [x, y]))];
        for (const name of literals) {
          const reaches = tails.some((tail) => {
            const found = slowMatch(rules, `/${[...parts, name, ...tail].join("/")}`);
            return (
              found &&
              found.zone !== served &&
              pattern(found.pattern).segments.length > parts.length &&
              pattern(found.pattern).segments[parts.length] === name
            );
          });
          expect(told.includes(name)).toBe(reaches);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

/** Every rule that matches, the most specific by comparing weights as text: literal 2, star 1, end 0. */
function slowMatch(rules: readonly ZoneRule[], path: string): ZoneRule | undefined {
  const segments = segmentsOf(path);
  const scored = rules
    .map((one) => ({ one, parts: one.pattern.slice(1).split("/").slice(0, -1) }))
    .filter(
      ({ parts }) => parts.length <= segments.length && parts.every((part, i) => part === "*" || part === segments[i]),
    )
    .map(({ one, parts }) => ({ one, score: parts.map((part) => (part === "*" ? "1" : "2")).join("") }))
    .sort((a, b) => (a.score < b.score ? 1 : -1));
  return scored[0]?.one;
}
