import { expect, test } from "vitest";
import { checkObject } from "../api/check.ts";
import { apiVersion, type Resource } from "../api/kinds.ts";
import { type Declared, desiredOf, type MemberRole } from "./desired.ts";
import { referenceFaults } from "./faults.ts";
import { box, desired, group, inForce, witness, zone } from "./testing/specs.ts";

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

test("of zones that tie the older one stays, of equally old ones the first by name, whatever the order they come in", () => {
  const spec = { pathPattern: "/cn/**", mode: "strong", authorityBox: "a" };
  const aged = (name: string, createdAtMs: number) => ({ ...inForce(zone(name, spec)), createdAtMs });
  const stalled = (...zones: Declared[]) =>
    [zones, [...zones].reverse()].map((list) => [
      ...referenceFaults(desiredOf("test", [...base.map(inForce), ...list])).keys(),
    ]);

  expect(stalled(aged("a", 2000), aged("b", 1000))).toEqual([["ConsensusZone/a"], ["ConsensusZone/a"]]);
  expect(stalled(aged("b", 1000), aged("a", 1000))).toEqual([["ConsensusZone/b"], ["ConsensusZone/b"]]);
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

test("a name that does not exist is blamed on its field, with what exists and what may have been meant", () => {
  const faults = referenceFaults(
    desired(
      ...base,
      group("g", ["a", "bb"]),
      zone("typo", { mode: "strong_ha", raftGroup: "mian" }),
      zone("far", { mode: "strong_ha", raftGroup: "nothing-like-it" }),
      zone("reader", { mode: "eventual", authorityBox: "a", replicas: ["b", "nobody"] }),
    ),
  );

  expect(faults.get("ConsensusZone/typo")).toEqual([
    {
      reason: "GroupMissing",
      message: "There is no RaftGroup mian; did you mean main? RaftGroups: main, g. Create it, or name another.",
      path: ["spec", "raftGroup"],
    },
  ]);
  expect(faults.get("ConsensusZone/far")![0]!.message).not.toContain("did you mean");
  expect(faults.get("ConsensusZone/reader")).toMatchObject([{ reason: "BoxMissing", path: ["spec", "replicas", 1] }]);
  expect(faults.get("RaftGroup/g")).toMatchObject([{ path: ["spec", "members", 1, "box"] }]);
});

test("beside the system group that the system zone is made of, a second one stalls itself only", () => {
  const second = group("other", ["a"], { system: true });
  const member = (role: MemberRole) => ({ role, incarnation: "", active: true, caughtUp: true });
  const members = new Map([
    ["a", member("voter")],
    ["b", member("voter")],
    ["w", member("witness")],
  ]);

  const faults = referenceFaults(desired(...base, second), [], { members });

  expect([...faults.keys()]).toEqual(["RaftGroup/other"]);
  expect(faults.get("RaftGroup/other")![0]!.message).toContain("RaftGroup main says system: true as well");
});
