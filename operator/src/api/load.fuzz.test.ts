import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { loadFiles } from "./load.ts";

const example = readFileSync(join(import.meta.dirname, "../../../examples/quickstart.yaml"), "utf8");
const lines = example.split("\n");

/** What breaks readers of YAML: anchors that multiply, merges, tags, odd keys, huge numbers, other encodings. */
const pieces = [
  "a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]",
  "<<: *a",
  "? [complex, key]\n: value",
  "kind: !!js/function 'function () {}'",
  "kind: !!binary AAAA",
  "__proto__: { polluted: true }",
  "constructor: { prototype: { polluted: true } }",
  "spec: { region: 1e999 }",
  "spec: 0x",
  "metadata: { name: ../../etc }",
  "metadata: { name: [] }",
  "spec: null",
  "---",
  "...",
  "\ufeff",
  "\t- tab",
  "'unclosed",
  "{".repeat(50),
  "- ".repeat(200),
];

const bentText = fc
  .array(
    fc.record({
      at: fc.nat(lines.length),
      drop: fc.nat(3),
      add: fc.oneof(fc.constantFrom(...pieces), fc.constantFrom(...lines), fc.string({ unit: "binary" })),
      indent: fc.nat(6),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((edits) => {
    const text = [...lines];
    for (const { at, drop, add, indent } of edits) text.splice(at, drop, " ".repeat(indent) + add);
    return text.join("\n");
  });

test("whatever the files hold, there are resources, or faults with a sentence each and a line that exists", () => {
  fc.assert(
    fc.property(fc.oneof(bentText, fc.string({ unit: "binary" })), (text) => {
      const loaded = loadFiles([{ name: "x.yaml", text }]);
      if (!("faults" in loaded)) return;
      expect(loaded.faults.length).toBeGreaterThan(0);
      for (const { reason, line } of loaded.faults) {
        expect(reason.length).toBeGreaterThan(3);
        expect(line).toBeGreaterThanOrEqual(1);
        expect(line).toBeLessThanOrEqual(text.split(/\r\n|\r|\n/).length + 1);
      }
    }),
    { numRuns: 300 },
  );
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
});

test("aliases that multiply are refused before they fill the memory", () => {
  const levels = Array.from({ length: 30 }, (_, i) =>
    i === 0
      ? "l0: &l0 [x]"
      : `l${i}: &l${i} [${Array(10)
          .fill(`*l${i - 1}`)
          .join(", ")}]`,
  );
  const text = `kind: Box\nmetadata: { name: a }\nspec:\n${levels.map((line) => `  ${line}`).join("\n")}\n`;
  expect("faults" in loadFiles([{ name: "x.yaml", text }])).toBe(true);
});
