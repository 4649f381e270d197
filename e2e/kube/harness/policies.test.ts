import { expect, test } from "vitest";
import { filterRules, type Pod, type Policy, type PolicySpec } from "./policies.ts";

const namespaces = ["shop", "watch"].map((name) => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels: { name } },
}));
const pod = (namespace: string, app: string, podIP: string, phase = "Running"): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { namespace, name: app, labels: { app } },
  status: { podIP, phase },
});
const policy = (spec: Partial<PolicySpec>): Policy => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { namespace: "shop", name: "p" },
  spec: { podSelector: { matchLabels: { app: "box" } }, policyTypes: ["Ingress"], ...spec },
});
const pods = [pod("shop", "box", "10.0.0.1"), pod("shop", "client", "10.0.0.2"), pod("watch", "eye", "10.0.0.3")];
const rulesOf = (...policies: Policy[]) =>
  filterRules({ pods, namespaces, policies })
    .split("\n")
    .filter((line) => line.startsWith("-A"));
const begin = "-A POLICIES -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN";

test("a pod that no policy selects is left alone; one without a rule lets nobody in", () => {
  expect(rulesOf()).toEqual([begin]);
  expect(rulesOf(policy({}))).toEqual([begin, "-A POLICIES -d 10.0.0.1 -j POLICIES-1", "-A POLICIES-1 -j DROP"]);
});

test("ports and peers of one rule are wanted both, rules and policies add up, no peers are all", () => {
  const peers = [
    { podSelector: { matchLabels: { app: "client" } } },
    { namespaceSelector: { matchLabels: { name: "watch" } } },
  ];
  const one = policy({ ingress: [{ ports: [{ port: 1 }, { port: 2 }], from: peers }, { ports: [{ port: 3 }] }] });
  const other = policy({ ingress: [{ from: [{ ipBlock: { cidr: "10.1.0.0/16" } }] }] });

  expect(rulesOf(one, other).slice(2)).toEqual([
    "-A POLICIES-1 -s 10.0.0.2 -p tcp --dport 1 -j RETURN",
    "-A POLICIES-1 -s 10.0.0.2 -p tcp --dport 2 -j RETURN",
    "-A POLICIES-1 -s 10.0.0.3 -p tcp --dport 1 -j RETURN",
    "-A POLICIES-1 -s 10.0.0.3 -p tcp --dport 2 -j RETURN",
    "-A POLICIES-1 -p tcp --dport 3 -j RETURN",
    "-A POLICIES-1 -s 10.1.0.0/16 -j RETURN",
    "-A POLICIES-1 -j DROP",
  ]);
});

test("both selectors of one peer are wanted, and a pod that ended has no address any more", () => {
  const both = {
    namespaceSelector: { matchLabels: { name: "watch" } },
    podSelector: { matchLabels: { app: "client" } },
  };
  expect(rulesOf(policy({ ingress: [{ from: [both] }] })).slice(2)).toEqual(["-A POLICIES-1 -j DROP"]);
  const ended = [pod("shop", "box", "10.0.0.1", "Succeeded")];
  expect(filterRules({ pods: ended, namespaces, policies: [policy({})] })).not.toContain("10.0.0.1");
});

test("what is not translated is refused, never left out", () => {
  expect(() => rulesOf(policy({ policyTypes: ["Ingress", "Egress"] }))).toThrow("only what comes in");
  expect(() => rulesOf(policy({ ingress: [{ ports: [{ port: "peer" }] }] }))).toThrow("only numbers");
  expect(() => rulesOf(policy({ podSelector: { matchExpressions: [] } }))).toThrow("matchExpressions");
});
