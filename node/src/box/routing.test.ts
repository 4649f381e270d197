import type { ZoneRule } from "@nexus-federation/proto/records.ts";
import type { Request } from "@nexus-federation/proto/request.ts";
import { expect, test } from "vitest";
import { isRefusal, refuse } from "../base/errors.ts";
import { ruleOf } from "../tree/testing/rule.ts";
import type { Caller } from "./api.ts";
import { noOptions } from "./ask.ts";
import { Directory } from "./directory.ts";
import { route } from "./routing.ts";
import { writeOp } from "./testing/federation.ts";

function rule(zone: string, pattern: string): ZoneRule {
  return ruleOf({ zone, pattern });
}
const directory = new Directory({ load: () => undefined, save: () => undefined });
directory.install({
  revision: 1,
  map: { epoch: 1, rules: [rule("cn", "/cn/**"), rule("locks", "/*/locks/**"), rule("us", "/us/**")] },
  boxes: [],
});

function callerOf(kind: Caller["kind"], allowed = ""): Caller {
  const check: Caller["check"] = (right, path) =>
    path.startsWith(allowed) ? undefined : refuse("DENIED", `${right} ${path}`);
  return { principal: "p", kind, check };
}
function routed(op: NonNullable<Request["op"]>, caller = callerOf("client"), zone = "") {
  return route({ id: 0, options: noOptions, zone, op }, caller, directory);
}
const rename = (from: string, to: string): NonNullable<Request["op"]> => ({
  $case: "mutate",
  value: { op: { $case: "rename", value: { from, to, condition: undefined, replace: false } } },
});

test("a request is bound to its zone and its zone path", () => {
  const found = routed(writeOp("/cn/a/b", "x"));
  expect(isRefusal(found) ? found.code : found.rule.zone).toBe("cn");
  expect(!isRefusal(found) && found.work.kind === "mutate" && found.work.operation.op).toMatchObject({
    value: { path: "/a/b" },
  });
});

test("one operation stays in one zone", () => {
  expect(routed(rename("/cn/a", "/us/a"))).toMatchObject({ code: "UNSUPPORTED_IN_MODE" });
  expect(isRefusal(routed(rename("/cn/a", "/cn/b")))).toBe(false);
});

test("rights are checked on federation paths, however the zone was addressed", () => {
  const caller = callerOf("client", "/us");
  expect(routed(writeOp("/zone:cn/a", "x"), caller)).toMatchObject({ code: "DENIED", message: "write /cn/a" });
  expect(routed(writeOp("/a", "x"), caller, "cn")).toMatchObject({ code: "DENIED", message: "write /cn/a" });
  expect(routed(rename("/us/a", "/cn/b"), caller)).toMatchObject({ code: "DENIED" });
  expect(isRefusal(routed(writeOp("/us/a", "x"), caller))).toBe(false);
});

test("the system zone has no files: a client that names it is refused at once, and nothing enters its log", () => {
  const system = new Directory({ load: () => undefined, save: () => undefined });
  system.install({ revision: 1, map: { epoch: 1, rules: [rule("cn", "/cn/**"), rule("system", "")] }, boxes: [] });
  const ask = (op: NonNullable<Request["op"]>, kind: Caller["kind"], zone = "") =>
    route({ id: 0, options: noOptions, zone, op }, callerOf(kind), system);
  const read: NonNullable<Request["op"]> = { $case: "stat", value: { path: "/zone:system/a" } };
  for (const kind of ["client", "operator"] as const) {
    expect(ask(writeOp("/zone:system/a", "x"), kind)).toMatchObject({ code: "NO_ZONE" });
    expect(ask(writeOp("/a", "x"), kind, "system")).toMatchObject({ code: "NO_ZONE" });
    expect(ask(read, kind)).toMatchObject({ code: "NO_ZONE" });
  }
  expect(isRefusal(ask(read, "box"))).toBe(false);
});

test("what one may write but not read cannot be moved to where one may read it", () => {
  const allowed = new Set(["write /cn/inbox/a", "write /cn/mine/a", "read /cn/mine/a"]);
  const check: Caller["check"] = (right, path) =>
    allowed.has(`${right} ${path}`) ? undefined : refuse("DENIED", `${right} ${path}`);
  const caller: Caller = { principal: "p", kind: "client", check };

  expect(routed(rename("/cn/inbox/a", "/cn/mine/a"), caller)).toMatchObject({ message: "read /cn/inbox/a" });
});

test("clients cannot propose what only boxes may, not even inside a batch", () => {
  const own = { op: { $case: "own" as const, value: { pattern: "/**", exclusions: [], epoch: 9 } } };
  expect(routed({ $case: "mutate", value: own }, callerOf("client"), "cn")).toMatchObject({ code: "DENIED" });
  const batch = { op: { $case: "batch" as const, value: { operations: [own] } } };
  expect(routed({ $case: "mutate", value: batch })).toMatchObject({ code: "DENIED" });
  expect(isRefusal(routed({ $case: "mutate", value: own }, callerOf("box"), "cn"))).toBe(false);
});

test("before the first map is in force nobody is told that a path has no zone", () => {
  const early = new Directory({ load: () => undefined, save: () => undefined });
  const ask = (path: string, kind: Caller["kind"] = "client") =>
    route({ id: 0, options: noOptions, zone: "", op: writeOp(path, "x") }, callerOf(kind), early);
  expect(ask("/a")).toMatchObject({ code: "ZONE_UNAVAILABLE" });
  early.install({ revision: 1, map: { epoch: 0, rules: [rule("system", "")] }, boxes: [] });
  expect(ask("/a")).toMatchObject({ code: "ZONE_UNAVAILABLE" });
  expect(ask("/zone:cn/a")).toMatchObject({ code: "ZONE_UNAVAILABLE" });
  expect(ask("/zone:cn/a", "box")).toMatchObject({ code: "NO_ZONE" });
  early.install({ revision: 2, map: { epoch: 1, rules: [] }, boxes: [] });
  expect(ask("/a")).toMatchObject({ code: "NO_ZONE" });
});

test("a path outside every rule, a foreign zone and a bad path are told apart", () => {
  expect(routed(writeOp("/eu/a", "x"))).toMatchObject({ code: "NO_ZONE" });
  expect(routed(writeOp("/zone:nowhere/a", "x"))).toMatchObject({ code: "NO_ZONE" });
  expect(routed(writeOp("/cn//a", "x"))).toMatchObject({ code: "INVALID" });
});
