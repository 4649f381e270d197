import { Environment } from "@marcbachmann/cel-js";
import { expect, test } from "vitest";
import { amountOf } from "./amount.ts";
import { type Kind, kinds } from "./kinds.ts";
import { specsOf } from "./testing/table.ts";

// CEL as the API server evaluates it: what Kubernetes adds to the language and the rules use is added here.
class Quantity {
  readonly bytes: number;
  constructor(text: string) {
    this.bytes = amountOf(text) ?? Number.NaN;
  }
}
const cel = new Environment({ unlistedVariablesAreDyn: true })
  .registerType("Quantity", Quantity)
  .registerFunction("quantity(string): Quantity", (text: string) => new Quantity(text))
  .registerFunction("Quantity.compareTo(Quantity): int", (a: Quantity, b: Quantity) =>
    BigInt(Math.sign(a.bytes - b.bytes)),
  );

/** As the API server has it: whole numbers are ints, absent fields are not there. */
function celValue(value: unknown): unknown {
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value);
  if (Array.isArray(value)) return value.map(celValue);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(fields.map(([key, field]) => [key, celValue(field)]));
}

interface AnyRule {
  field: string;
  cel: string;
  transition?: true;
  holds: (self: object, old: object) => boolean;
}
const rulesOf = (kind: Kind) => kinds[kind].rules as unknown as AnyRule[];

test.each(Object.keys(kinds) as Kind[])("%s: the CEL text and the predicate of each rule agree", (kind) => {
  const specs = specsOf(kind);
  for (const rule of rulesOf(kind)) {
    const program = cel.parse(rule.cel);
    const seen = new Set<unknown>();
    for (const self of specs) {
      for (const old of rule.transition ? specs : [self]) {
        const said = program({ self: celValue(self), oldSelf: celValue(old) });
        const shown = `${rule.field}: ${rule.cel}\n${JSON.stringify(self)}\n${JSON.stringify(old)}`;
        expect(said, shown).toBe(rule.holds(self, old));
        seen.add(said);
      }
    }
    expect([...seen].sort(), `${rule.field}: some spec keeps and some breaks ${rule.cel}`).toEqual([false, true]);
  }
});
