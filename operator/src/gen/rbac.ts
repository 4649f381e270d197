// The operator's rights: what its code calls, and nothing else. Each row says where the right is used.
import { apiGroup, kindNames, kinds } from "../api/kinds.ts";
import { type ResourceType, resourceTypes } from "../runtime/resource-types.ts";

interface Right {
  types: readonly Pick<ResourceType, "group" | "plural">[];
  verbs: readonly string[];
  why: string;
}

const own = (suffix = "", only: readonly string[] = kindNames) =>
  kindNames
    .filter((kind) => only.includes(kind))
    .map((kind) => ({ group: apiGroup, plural: `${kinds[kind].plural}${suffix}` }));

const watch = ["list", "watch"];
/** Server-side apply of an object that may not be there yet needs create beside patch. */
const apply = ["create", "patch"];

/** In every namespace that holds a federation. */
export const federationRights: readonly Right[] = [
  { types: own(), verbs: watch, why: "What is asked for (controllers/caches.ts). Never written: spec is people's." },
  { types: own("/status"), verbs: ["patch"], why: "What is reported (controllers/reporter.ts)." },
  {
    types: own("", ["Box", "ConsensusZone"]),
    verbs: ["patch"],
    why: "Finalizers (controllers/finalizers.ts).",
  },
  {
    types: [resourceTypes.statefulSet],
    verbs: [...watch, ...apply, "delete"],
    why: "The box's workload (backends/kubernetes/fleet.ts).",
  },
  {
    types: [resourceTypes.podDisruptionBudget],
    verbs: [...watch, ...apply, "delete"],
    why: "When it may be evicted (backends/kubernetes/fleet.ts).",
  },
  {
    types: [resourceTypes.service, resourceTypes.configMap],
    verbs: [...watch, ...apply, "delete"],
    why: "Addresses and configuration of a box; what outlives all boxes (controllers/keepsake.ts).",
  },
  {
    types: [resourceTypes.secret],
    verbs: ["get", ...watch, ...apply, "delete"],
    why: "Authority, certificates and tokens (backends/kubernetes/identities.ts).",
  },
  {
    types: [resourceTypes.persistentVolumeClaim],
    verbs: ["get", ...watch, ...apply],
    why: "Volumes are made and grown, never deleted (backends/kubernetes/fleet.ts).",
  },
  {
    types: [resourceTypes.pod],
    verbs: ["get", ...watch, "delete"],
    why: "Pods are replaced one by one (backends/kubernetes/fleet.ts).",
  },
  {
    types: [resourceTypes.serviceAccount],
    verbs: ["create"],
    why: "Only with auth.tokenReview: the account of boxes (backends/kubernetes/fleet.ts).",
  },
  { types: [resourceTypes.lease], verbs: ["get", "create", "update"], why: "Who acts (runtime/leader-elector.ts)." },
  {
    types: [resourceTypes.namespace],
    verbs: ["get"],
    why: "Whether the namespace ends, where namespaces may not be watched (controllers/manager.ts).",
  },
  { types: [resourceTypes.event], verbs: [...apply], why: "What was done (runtime/events.ts)." },
  {
    types: [resourceTypes.certificate],
    verbs: [...apply],
    why: "Only with tls.source CertManager (backends/kubernetes/identities.ts).",
  },
];

/** Of the whole cluster. */
export const clusterRights: readonly Right[] = [
  { types: [resourceTypes.node], verbs: watch, why: "Cordons and lost nodes (controllers/caches.ts)." },
  { types: [resourceTypes.namespace], verbs: watch, why: "Namespaces that are ending (controllers/caches.ts)." },
  {
    types: own("", ["Box", "ConsensusZone"]),
    verbs: ["list", "patch"],
    why: "What an ending namespace still holds is let go after its RoleBinding is gone (controllers/let-go.ts).",
  },
];

/** A list of RBAC rules, as charts/nexus reads it. */
export function rbacRules(rights: readonly Right[]): string {
  const lines = ["# Made by npm run gen from operator/src/gen/rbac.ts. Do not edit."];
  for (const { types, verbs, why } of rights) {
    const groups = [...new Set(types.map(({ group }) => JSON.stringify(group)))];
    lines.push(
      `# ${why}`,
      `- apiGroups: [${groups.join(", ")}]`,
      `  resources: [${types.map(({ plural }) => plural).join(", ")}]`,
      `  verbs: [${verbs.join(", ")}]`,
    );
  }
  return `${lines.join("\n")}\n`;
}
