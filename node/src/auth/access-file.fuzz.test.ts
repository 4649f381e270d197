import fc from "fast-check";
import { expect, test } from "vitest";
import { isRefusal } from "../base/errors.ts";
import { parseFence, printFence } from "../base/fence.ts";
import { badBytes } from "../base/testing/bent.ts";
import { decodeToken, encodeToken } from "../base/token.ts";
import { readAccessTable } from "./access-file.ts";

const entry = {
  name: fc.oneof(fc.string(), fc.jsonValue()),
  federation: fc.oneof(fc.constant("acme"), fc.jsonValue()),
  sha256: fc.oneof(fc.constant("0".repeat(64)), fc.string({ unit: "binary" }), fc.jsonValue()),
  expires: fc.oneof(fc.constant("2030-01-01T00:00:00Z"), fc.string(), fc.jsonValue()),
  grants: fc.oneof(
    fc.array(fc.record({ prefix: fc.string(), rights: fc.array(fc.string()) }, { requiredKeys: [] })),
    fc.jsonValue(),
  ),
};
const tables = fc.record(
  {
    tokens: fc.oneof(fc.array(fc.record(entry, { requiredKeys: [] })), fc.jsonValue()),
    users: fc.oneof(fc.array(fc.record(entry, { requiredKeys: [] })), fc.jsonValue()),
  },
  { requiredKeys: [] },
);

test("whatever a token file holds, it is a table or one refusal that names a field", () => {
  fc.assert(
    fc.property(fc.oneof(tables, fc.jsonValue()), (json) => {
      const table = readAccessTable("acme", json);
      if (isRefusal(table)) expect(table.message.length).toBeGreaterThan(5);
      else expect(table.tokens.every(({ sha256 }) => sha256.length === 32)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("bent tokens and fences are read in bounds or not at all", () => {
  fc.assert(
    fc.property(badBytes(encodeToken({ log: 3, generation: 1, index: 77 })), (bytes) => {
      const token = decodeToken(bytes);
      if (token !== undefined) expect(Object.values(token).every((each) => Number.isSafeInteger(each))).toBe(true);
    }),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.bigInt().map(String)), (text) => {
      const fence = parseFence(text);
      if (fence !== undefined) expect(printFence(fence.generation, fence.counter)).toBe(text);
    }),
    { numRuns: 500 },
  );
});
