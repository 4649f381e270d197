import { expect, test } from "vitest";
import { refusedFields } from "./pod-template.ts";

test("what the operator decides is refused by name", () => {
  const spec = {
    restartPolicy: "Never",
    volumes: [{ name: "data" }, { name: "mine" }],
    containers: [
      { name: "nexus", image: "other", env: [{ name: "NEXUS_BOX_ID" }, { name: "TZ" }] },
      { name: "sidecar", image: "other" },
    ],
  };
  const metadata = { labels: { "federation.nexus.io/box": "x", team: "a" } };

  expect(refusedFields({ metadata, spec })).toEqual([
    "metadata.labels.federation.nexus.io/box",
    "spec.restartPolicy",
    "spec.volumes[data]",
    "spec.containers[nexus].image",
    "spec.containers[nexus].env[NEXUS_BOX_ID]",
  ]);
});

test("resources, scheduling, side containers and further environment may be set", () => {
  const container = { name: "nexus", resources: {}, env: [{ name: "TZ", value: "UTC" }] };
  const spec = { affinity: {}, tolerations: [], priorityClassName: "high", containers: [container] };

  expect(refusedFields({ spec })).toEqual([]);
});
