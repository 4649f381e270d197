import { expect, test } from "vitest";
import type { NamespaceView } from "../backends/kubernetes/view.ts";
import { desiredOf } from "../planner/desired.ts";
import { declarationsOf } from "./declared.ts";
import { keepsakeOf } from "./keepsake.ts";
import { obstaclesOf } from "./obstacles.ts";

const box = (name: string, more: object = {}) => ({
  apiVersion: "federation.nexus.io/v1alpha1",
  kind: "Box",
  metadata: { name, namespace: "files" },
  spec: { region: "local", ...more },
});

function about(own: object[], claims: string[], knownFederation = "files") {
  const view = {
    namespace: "files",
    own,
    claims: new Map(claims.map((name) => [name, { metadata: { name } }])),
  } as unknown as NamespaceView;
  const found = declarationsOf(view, keepsakeOf(undefined), 0);
  const desired = desiredOf("files", found.declared, "default");
  return obstaclesOf({ found, desired, view, knownFederation });
}

test("a federation that was started and whose every volume claim is gone has lost its data", () => {
  const boxes = [box("n1"), box("n2"), box("w1", { role: "Witness" })];

  expect(about(boxes, ["w1-data"]).get("Federation/federation")?.reason).toBe("DataLost");
  expect(about(boxes, ["n2-data"]).size).toBe(0);
  expect(about(boxes, [], "").size).toBe(0);
});

test("what another cluster holds is not known to be lost", () => {
  expect(about([box("n1"), box("n2", { cluster: "eu" })], []).size).toBe(0);
});
