import { expect, test } from "vitest";
import { apiVersion, type Kind } from "../api/kinds.ts";
import type { NamespaceView } from "../backends/kubernetes/view.ts";
import type { KubeObject } from "../runtime/objects.ts";
import { declarationsOf } from "./declared.ts";

const kept = { federation: "acme", clusters: 0, uids: {}, retired: {} };
const nowMs = Date.parse("2026-01-02T00:00:00Z");

function object(kind: Kind, name: string, spec: object, deleted = false): KubeObject {
  const ended = deleted ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {};
  return { apiVersion, kind, metadata: { name, namespace: "acme", ...ended }, spec } as KubeObject;
}
function zone(name: string, deleted: boolean, state = "Active") {
  const spec = { revision: 3, state, pathPattern: `/${name}/**`, mode: "strong", authorityBox: "a" };
  return object("ConsensusZone", name, spec, deleted);
}
function federation(...names: string[]) {
  const clusters = names.map((name) => ({ name, region: name }));
  return object("Federation", "federation", { trustDomain: "acme", clusters });
}
function declared(...own: KubeObject[]) {
  return declaredAfter(0, ...own);
}
function declaredAfter(clusters: number, ...own: KubeObject[]) {
  const view = { namespace: "acme", own } as unknown as NamespaceView;
  const found = declarationsOf(view, { ...kept, clusters }, nowMs);
  expect([...found.misread]).toEqual([]);
  const zones = found.declared.filter(({ resource }) => resource.kind === "ConsensusZone");
  return { zones: zones.map(({ resource }) => resource.metadata.name), retired: Object.keys(found.retired) };
}

test("in one cluster a deleted zone is declared until its data is gone", () => {
  const found = declared(federation("cn"), zone("cn", true));

  expect(found).toEqual({ zones: ["cn"], retired: ["cn"] });
});

test("among several clusters a deletion in one ends no zone, and Retired does", () => {
  const found = declared(zone("cn", true), zone("us", true, "Retired"), zone("eu", false), federation("cn", "us"));

  expect(found).toEqual({ zones: ["us", "eu"], retired: ["us"] });
});

test("how many clusters there are is remembered when the Federation goes with its zones, until it says otherwise", () => {
  expect(declaredAfter(2, zone("cn", true)).retired).toEqual([]);
  expect(declaredAfter(2, zone("cn", true), federation("cn")).retired).toEqual(["cn"]);
});
