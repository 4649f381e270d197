// What a network plugin does with NetworkPolicies, for clusters whose plugin does nothing with them: each policy becomes
// packet filter rules of the nodes. Only what restricts what comes in to pods is translated; the rest is refused by name.
import type { KubeObject } from "@nexus-federation/operator/runtime/objects.ts";

interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: unknown[];
}

interface Peer {
  podSelector?: Selector;
  namespaceSelector?: Selector;
  ipBlock?: { cidr: string; except?: string[] };
}

export interface PolicySpec {
  podSelector: Selector;
  policyTypes: string[];
  ingress?: { from?: Peer[]; ports?: { port?: number | string; protocol?: string; endPort?: number }[] }[];
}

export type Policy = KubeObject<PolicySpec>;
export type Pod = KubeObject<{ hostNetwork?: boolean }, { podIP?: string; phase?: string }>;

export interface PolicyWorld {
  pods: readonly Pod[];
  namespaces: readonly KubeObject[];
  policies: readonly Policy[];
}

export const chain = "POLICIES";

/** Input of `iptables-restore --noflush`: the chain, and one for each pod that a policy selects. */
export function filterRules(world: PolicyWorld): string {
  const chains = [`:${chain} - [0:0]`];
  const rules = [`-A ${chain} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN`];
  for (const pod of world.pods.filter(hasAddress)) {
    const policies = world.policies.filter((policy) => selects(policy, pod));
    if (policies.length === 0) continue;
    const own = `${chain}-${chains.length}`;
    chains.push(`:${own} - [0:0]`);
    rules.push(`-A ${chain} -d ${pod.status?.podIP} -j ${own}`);
    for (const policy of policies)
      rules.push(...allowances(policy, world).map((match) => `-A ${own}${match} -j RETURN`));
    rules.push(`-A ${own} -j DROP`);
  }
  return ["*filter", ...chains, ...rules, "COMMIT", ""].join("\n");
}

function hasAddress({ spec, status }: Pod): boolean {
  const ended = status?.phase === "Succeeded" || status?.phase === "Failed";
  return status?.podIP !== undefined && !ended && spec?.hostNetwork !== true;
}

function selects({ metadata, spec }: Policy, pod: Pod): boolean {
  if (spec?.policyTypes.some((type) => type !== "Ingress"))
    throw new Error(`policy ${metadata.name}: only what comes in is translated`);
  return metadata.namespace === pod.metadata.namespace && matches(spec?.podSelector, pod.metadata.labels);
}

/** What each rule of the policy lets through, as matches of packets. A rule without peers lets everybody through. */
function allowances({ metadata, spec }: Policy, world: PolicyWorld): string[] {
  return (spec?.ingress ?? []).flatMap(({ from, ports }) => {
    const sources =
      from === undefined || from.length === 0
        ? [""]
        : from.flatMap((peer) => sourcesOf(peer, metadata.namespace ?? "", world).map((source) => ` -s ${source}`));
    const targets = ports === undefined || ports.length === 0 ? [""] : ports.map(targetOf);
    return sources.flatMap((source) => targets.map((target) => `${source}${target}`));
  });
}

function targetOf({
  port,
  protocol = "TCP",
  endPort,
}: {
  port?: number | string;
  protocol?: string;
  endPort?: number;
}) {
  if (typeof port === "string" || endPort !== undefined) throw new Error(`port ${port}: only numbers are translated`);
  return ` -p ${protocol.toLowerCase()}${port === undefined ? "" : ` --dport ${port}`}`;
}

function sourcesOf(peer: Peer, ownNamespace: string, world: PolicyWorld): string[] {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  if (ipBlock?.except) throw new Error("ipBlock.except is not translated");
  if (ipBlock) return [ipBlock.cidr];
  const namespaces = world.namespaces
    .filter(({ metadata }) =>
      namespaceSelector ? matches(namespaceSelector, metadata.labels) : metadata.name === ownNamespace,
    )
    .map(({ metadata }) => metadata.name);
  return world.pods
    .filter((pod) => hasAddress(pod) && namespaces.includes(pod.metadata.namespace ?? ""))
    .filter((pod) => matches(podSelector, pod.metadata.labels))
    .map((pod) => pod.status?.podIP ?? "");
}

/** An empty selector, or none, selects all. */
function matches(selector: Selector | undefined, labels: Readonly<Record<string, string>> = {}): boolean {
  if (selector?.matchExpressions) throw new Error("matchExpressions are not translated");
  return Object.entries(selector?.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
}
