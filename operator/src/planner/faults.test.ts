import { expect, test } from "vitest";
import { checkObject } from "../api/check.ts";
import { apiVersion, type Resource } from "../api/kinds.ts";
import { referenceFaults } from "./faults.ts";
import { box, desired, group, witness, zone } from "./testing/specs.ts";

const base = [box("a"), box("b"), witness("w"), group("main", ["a", "b"], { witness: "w", system: true })];

function reasons(...resources: Resource[]): Record<string, string[]> {
  return Object.fromEntries(
    [...referenceFaults(desired(...resources))].map(([key, faults]) => [key, faults.map((fault) => fault.reason)]),
  );
}

test("a sound federation has no faults", () => {
  expect(reasons(...base, zone("x", { mode: "strong_ha", raftGroup: "main" }))).toEqual({});
});

test("a federation needs exactly one system group", () => {
  expect(reasons(box("a"))).toEqual({ "Federation/federation": ["NoSystemGroup"] });
  expect(reasons(...base, group("other", ["a"], { system: true }))).toEqual({
    "Federation/federation": ["NoSystemGroup"],
    "RaftGroup/main": ["NoSystemGroup"],
    "RaftGroup/other": ["NoSystemGroup"],
  });
});

test("missing boxes and wrong roles stall the group and the zones that use it", () => {
  expect(reasons(...base, group("g", ["a", "x"]), zone("z", { mode: "strong_ha", raftGroup: "g" }))).toEqual({
    "RaftGroup/g": ["BoxMissing"],
    "ConsensusZone/z": ["GroupStalled"],
  });
  expect(reasons(...base, group("g", ["a", "w"]))).toEqual({ "RaftGroup/g": ["RoleMismatch"] });
  expect(reasons(...base, box("c"), group("g", ["a", "b"], { witness: "c" }))).toEqual({
    "RaftGroup/g": ["RoleMismatch"],
  });
  expect(reasons(...base, zone("z", { mode: "strong", authorityBox: "w" }))).toEqual({
    "ConsensusZone/z": ["RoleMismatch"],
  });
  expect(reasons(...base, zone("z", { mode: "strong_ha", raftGroup: "nowhere" }))).toEqual({
    "ConsensusZone/z": ["GroupMissing"],
  });
});

test("the second of two patterns that tie is refused, naming both", () => {
  const one = zone("one", { pathPattern: "/cn/*", mode: "strong", authorityBox: "a" });
  const two = zone("two", { pathPattern: "/cn/**", mode: "strong", authorityBox: "a" });

  const faults = referenceFaults(desired(...base, one, two));

  expect([...faults.keys()]).toEqual(["ConsensusZone/two"]);
  expect(faults.get("ConsensusZone/two")![0]!.message).toMatch(/\/cn\/\*\*.*\/cn\/\*.*zone one/);
});

test("features that come later are one clear sentence", () => {
  const mount = checkObject({ apiVersion, kind: "Mount", metadata: { name: "m" }, spec: { path: "/m", zone: "z" } });
  if ("faults" in mount) throw new Error("good");

  const found = reasons(
    ...base,
    mount.resource,
    zone("q", { mode: "quorum", replicas: ["a", "b"], quorum: { read: 1, write: 2 } }),
    zone("e", { mode: "eventual", writers: "any", replicas: ["a", "b"] }),
  );

  expect(found).toEqual({
    "Mount/m": ["NotBuiltYet"],
    "ConsensusZone/q": ["NotBuiltYet"],
    "ConsensusZone/e": ["NotBuiltYet"],
  });
});

test("a member outside the allowed regions is refused", () => {
  expect(reasons(...base, zone("z", { mode: "strong", authorityBox: "a", regions: ["eu"] }))).toEqual({
    "ConsensusZone/z": ["RegionNotAllowed"],
  });
});
