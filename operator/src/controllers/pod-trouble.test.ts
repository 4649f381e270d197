import { expect, test } from "vitest";
import type { NamespaceView } from "../backends/kubernetes/view.ts";
import { type ConditionWorld, conditionsFor } from "./conditions.ts";
import { podTrouble } from "./pod-trouble.ts";

const said = "/var/lib/nexus/box holds the data of box b";
const log = `{"level":"info","msg":"box listens"}\n${said}\n    at main (box.mjs:1)\n\nNode.js v24.0.0\n`;

function troubleOf(status: object): string | undefined {
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "a-0" }, status };
  return podTrouble({ pods: new Map([["a-0", pod]]) } as unknown as NamespaceView, "a");
}

test("a process that ends again and again is told by its last words, without records and stacks", () => {
  const waiting = { reason: "CrashLoopBackOff", message: "back-off 5m0s restarting" };
  const lastState = { terminated: { reason: "Error", message: log } };

  expect(troubleOf({ containerStatuses: [{ state: { waiting }, lastState }] })).toBe(`CrashLoopBackOff: ${said}`);
  expect(troubleOf({ containerStatuses: [{ state: { waiting } }] })).toBe("CrashLoopBackOff: back-off 5m0s restarting");
  expect(troubleOf({ containerStatuses: [{ state: lastState }] })).toBe(`Error: ${said}`);
});

test("an image that is not there is not explained by how an earlier process ended", () => {
  const waiting = { reason: "ImagePullBackOff", message: "not found" };
  const lastState = { terminated: { reason: "Error", message: log } };

  expect(troubleOf({ containerStatuses: [{ state: { waiting }, lastState }] })).toBe("ImagePullBackOff: not found");
});

test("a pod that no node takes is told by the scheduler, and one that starts is no trouble", () => {
  const conditions = [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/3 nodes" }];

  expect(troubleOf({ conditions })).toBe("Unschedulable: 0/3 nodes");
  expect(troubleOf({ containerStatuses: [{ state: { running: {} } }] })).toBeUndefined();
});

test("a box whose new pod does not start says why, not only that it is waited for", () => {
  const waiting = { reason: "ImagePullBackOff", message: "not found" };
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "a-0" },
    status: { containerStatuses: [{ state: { waiting } }] },
  };
  const ready = { type: "Ready", status: "False", reason: "Progressing", message: "Its new pod is not ready yet." };
  const world = {
    desired: { boxes: new Map([["a", { name: "a", role: "Witness", stop: "" }]]), groups: new Map() },
    observed: { workloads: new Map([["a", { running: false }]]), logs: new Map(), boxes: new Map() },
    view: { pods: new Map([["a-0", pod]]), nodes: new Map() },
    planned: new Map([["Box/a", [ready]]]),
  } as unknown as ConditionWorld;

  const told = conditionsFor("Box/a", world).find(({ type }) => type === "Ready");

  expect(told?.message).toBe("Its new pod is not ready yet. ImagePullBackOff: not found");
});
