import type { ZoneRule } from "@nexus-federation/proto/records.ts";
import { RequestOptions } from "@nexus-federation/proto/request.ts";
import { expect, test } from "vitest";
import { decodeToken, encodeToken } from "../base/token.ts";
import { ruleOf } from "../tree/testing/rule.ts";
import { defaultStaleMs, planRead, planWrite } from "./options.ts";

function rule(mode: string, more: Partial<ZoneRule> = {}): ZoneRule {
  return ruleOf({ zone: "z", mode, ...more });
}
function options(more: Partial<RequestOptions> = {}): RequestOptions {
  return { ...RequestOptions.decode(new Uint8Array(0)), ...more };
}

test("each mode reads by its own default", () => {
  const explicit = false;
  expect(planRead(rule("strong"), options())).toEqual({ preference: "authority", explicit, maxStalenessMs: 0 });
  expect(planRead(rule("strong_ha"), options())).toEqual({ preference: "leader", explicit, maxStalenessMs: 0 });
  expect(planRead(rule("eventual"), options())).toEqual({
    preference: "local",
    explicit,
    maxStalenessMs: defaultStaleMs,
  });
});

test("the zone's own bound counts in eventual zones, the request's before it", () => {
  const zone = rule("eventual", { staleReadMaxAgeMs: 700 });
  expect(planRead(zone, options())).toMatchObject({ maxStalenessMs: 700 });
  expect(planRead(zone, options({ maxStalenessMs: 0 }))).toMatchObject({ maxStalenessMs: 0 });
  expect(planRead(zone, options({ readPreference: "authority" }))).toMatchObject({ maxStalenessMs: 0 });
});

test("a wish that the mode cannot honour is refused, not bent", () => {
  expect(planRead(rule("strong_ha"), options({ readPreference: "authority" }))).toMatchObject({
    code: "UNSUPPORTED_IN_MODE",
  });
  expect(planWrite(rule("strong_ha"), options({ writeConcern: "authority" }))).toMatchObject({
    code: "UNSUPPORTED_IN_MODE",
  });
  expect(planRead(rule("strong"), options({ readPreference: "fastest" }))).toMatchObject({ code: "INVALID" });
  expect(planWrite(rule("strong"), options({ requestId: Buffer.alloc(3) }))).toMatchObject({ code: "INVALID" });
  for (const zone of [rule("quorum"), rule("eventual", { writers: "any" })]) {
    expect(planWrite(zone, options())).toMatchObject({ code: "UNSUPPORTED_IN_MODE" });
  }
});

test("all means every full voter, otherwise the copies asked for", () => {
  expect(planWrite(rule("strong_ha"), options({ writeConcern: "all", minCopies: 1 }))).toEqual({ copies: "all" });
  expect(planWrite(rule("strong_ha", { writeConcern: "all" }), options())).toEqual({ copies: "all" });
  expect(planWrite(rule("strong"), options({ minCopies: 2 }))).toEqual({ copies: 2 });
});

test("a token comes back as it was made, and foreign bytes are no token", () => {
  const token = { log: 12345678901, generation: 3, index: 2 ** 41 + 7 };
  expect(decodeToken(encodeToken(token))).toEqual(token);
  expect(decodeToken(encodeToken(token).subarray(1))).toBeUndefined();
  expect(decodeToken(Buffer.alloc(21))).toBeUndefined();
});
