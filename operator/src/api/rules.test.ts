import { describe, expect, test } from "vitest";
import { checkObject, printPath } from "./check.ts";
import { apiVersion, type Kind, kinds } from "./kinds.ts";
import { accepted, refused, zone } from "./testing/table.ts";

function faults(kind: Kind, spec: unknown, name = kind === "Federation" ? "federation" : "x"): string[] {
  const checked = checkObject({ apiVersion, kind, metadata: { name }, spec });
  return "faults" in checked ? checked.faults.map((fault) => printPath(fault.path)) : [];
}

describe("one object", () => {
  test.each(accepted)("%s is accepted", (_name, kind, spec) => {
    expect(faults(kind, spec)).toEqual([]);
  });
  test.each(refused)("%s is refused", (_name, kind, spec, fields) => {
    expect(faults(kind, spec)).toEqual(fields);
  });
  test("names are DNS labels of at most 52 characters", () => {
    for (const name of ["A", "1a", "a_b", "a".repeat(53), ""])
      expect(faults("Box", { region: "x" }, name)).toEqual(["metadata.name"]);
    expect(faults("Federation", { trustDomain: "acme" }, "other")).toEqual(["metadata.name"]);
    expect(faults("ConsensusZone", zone({ mode: "strong", authorityBox: "a" }), "system")).toEqual(["metadata.name"]);
  });
});

test("every rule points at a field of its schema and speaks in a sentence", () => {
  for (const { kind, rules } of Object.values(kinds)) {
    for (const rule of rules) {
      expect(rule.sentence, `${kind} ${rule.field}`).toMatch(/\.$/);
      expect(rule.cel.includes("oldSelf"), `${kind} ${rule.field}`).toBe(rule.transition === true);
    }
  }
});
