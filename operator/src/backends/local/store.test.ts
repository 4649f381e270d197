import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { resource } from "../../planner/testing/specs.ts";
import { DesiredStore } from "./store.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "nexus-store-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const open = () => new DesiredStore(join(dir, "desired.yaml"), "default");
const zone = (state: string) =>
  resource("ConsensusZone", "z", { pathPattern: "/z/**", mode: "strong", authorityBox: "a", state });
const ended = (store: DesiredStore) =>
  store.declared.map(({ resource: each, endedAtMs, deleted }) => [each.metadata.name, endedAtMs, deleted]);

test("what was applied is there after a restart, as readable YAML", () => {
  open().apply([resource("Box", "a", { region: "x" }, { note: "mine" }), zone("Active")], 5);

  const again = open();

  expect(again.declared).toEqual([
    { resource: resource("Box", "a", { region: "x" }, { note: "mine" }), createdAtMs: 5, endedAtMs: 0, deleted: false },
    { resource: zone("Active"), createdAtMs: 5, endedAtMs: 0, deleted: false },
  ]);
  expect(readFileSync(join(dir, "desired.yaml"), "utf8")).toContain("pathPattern: /z/**");
});

test("the moment of retirement is kept, over restarts and repeated applies, until the zone is active again", () => {
  open().apply([zone("Retired")], 5);
  open().apply([zone("Retired")], 9);
  expect(ended(open())).toEqual([["z", 5, false]]);

  open().apply([zone("Active")], 10);
  expect(ended(open())).toEqual([["z", 0, false]]);
});

test("a zone is as old as its first apply, and begins anew when it was deleted", () => {
  const ages = () => open().declared.map((each) => each.createdAtMs);
  open().apply([zone("Active")], 5);
  open().apply([zone("Active")], 9);
  expect(ages()).toEqual([5]);

  open().delete([zone("Active")], 10);
  open().apply([zone("Active")], 11);
  expect(ages()).toEqual([11]);
});

test("a deleted zone stays until it is forgotten, and comes back when applied again", () => {
  open().apply([zone("Active")], 1);
  open().delete([zone("Active")], 7);
  expect(ended(open())).toEqual([["z", 7, true]]);

  open().apply([zone("Active")], 8);
  expect(ended(open())).toEqual([["z", 0, false]]);
  open().forget("ConsensusZone", "z");
  expect(open().declared).toEqual([]);
});

test("the group of the system zone cannot be deleted", () => {
  const group = resource("RaftGroup", "main", { members: [{ box: "a" }], system: true, bootstrapBox: "a" });
  const store = open();
  store.apply([group], 1);

  expect(store.deletionFaults([group])).toMatchObject([
    expect.stringContaining("RaftGroup/main holds the system zone"),
  ]);
});

test("a federation of another trust domain is refused", () => {
  const text =
    "apiVersion: federation.nexus.io/v1alpha1\nkind: Federation\nmetadata: {name: federation}\nspec: {trustDomain: acme}\n";

  expect(open().load([{ name: "f.yaml", text }])).toMatchObject({
    faults: [{ file: "f.yaml", field: "spec.trustDomain" }],
  });
});
