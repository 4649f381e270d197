// The resources of federation.nexus.io/v1alpha1. The problem: CRDs, reference pages, the loader of `nexus up` and the
// operator's own types must never say different things. Why not CRD YAML by hand and types beside it: they drift on the
// first hurried change. The sketch: one zod schema a kind (box.ts, raft-group.ts, zone.ts, mount.ts, federation.ts),
// one table of rules (rules.ts), and this list; everything else is made from it (gen/).
import type * as z from "zod";
import { type BoxSpec, boxSpec } from "./box.ts";
import { type FederationSpec, federationSpec } from "./federation.ts";
import { type MountSpec, mountSpec } from "./mount.ts";
import { type RaftGroupSpec, raftGroupSpec } from "./raft-group.ts";
import type { Rule } from "./rule.ts";
import { boxRules, federationRules, mountRules, raftGroupRules } from "./rules.ts";
import { boxStatus, federationStatus, mountStatus, raftGroupStatus, zoneStatus } from "./status.ts";
import { type ZoneSpec, zoneSpec } from "./zone.ts";
import { zoneRules } from "./zone-rules.ts";

export const apiGroup = "federation.nexus.io";
export const apiVersion = `${apiGroup}/v1alpha1`;

export interface SpecOf {
  Federation: FederationSpec;
  Box: BoxSpec;
  RaftGroup: RaftGroupSpec;
  ConsensusZone: ZoneSpec;
  Mount: MountSpec;
}
export type Kind = keyof SpecOf;

export interface Metadata {
  name: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

/** A resource with its defaults filled in. */
export type Resource<K extends Kind = Kind> = {
  [Each in K]: { kind: Each; metadata: Metadata; spec: SpecOf[Each] };
}[K];

export interface PrinterColumn {
  name: string;
  type: "string" | "integer" | "date";
  jsonPath: string;
  /** 0 is always shown, above only with -o wide. */
  priority?: number;
}

export interface KindInfo<K extends Kind = Kind> {
  kind: K;
  plural: string;
  shortName: string;
  /** What the resource is, one sentence. */
  purpose: string;
  spec: z.ZodType<SpecOf[K]>;
  status: z.ZodType;
  rules: Rule<SpecOf[K]>[];
  columns: PrinterColumn[];
}

const ready: PrinterColumn[] = [
  { name: "Ready", type: "string", jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
  { name: "Reason", type: "string", jsonPath: '.status.conditions[?(@.type=="Ready")].reason' },
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
];
const column = (name: string, jsonPath: string, priority?: number): PrinterColumn => ({
  name,
  type: "string",
  jsonPath,
  ...(priority === undefined ? {} : { priority }),
});

export const kinds: { [K in Kind]: KindInfo<K> } = {
  Federation: {
    kind: "Federation",
    plural: "federations",
    shortName: "fed",
    purpose:
      "The federation as a whole: its trust domain, clusters and images. Optional in one cluster; always named `federation`.",
    spec: federationSpec,
    status: federationStatus,
    rules: federationRules,
    columns: [
      column("Trust-Domain", ".spec.trustDomain"),
      { name: "Epoch", type: "integer", jsonPath: ".status.epoch" },
      ...ready,
    ],
  },
  Box: {
    kind: "Box",
    plural: "boxes",
    shortName: "box",
    purpose: "One data node or witness: one process, one volume, one identity.",
    spec: boxSpec,
    status: boxStatus,
    rules: boxRules,
    columns: [
      column("Role", ".spec.role"),
      column("Region", ".spec.region"),
      column("State", ".status.state"),
      column("Cluster", ".spec.cluster", 1),
      column("Version", ".status.version", 1),
      ...ready,
    ],
  },
  RaftGroup: {
    kind: "RaftGroup",
    plural: "raftgroups",
    shortName: "rg",
    purpose: "A declared member set. Every zone that names it has a replicated log of its own with these members.",
    spec: raftGroupSpec,
    status: raftGroupStatus,
    rules: raftGroupRules,
    columns: [
      column("Leaders", ".status.leaders"),
      column("Mode", ".status.mode"),
      { name: "Zones", type: "integer", jsonPath: ".status.zones" },
      ...ready,
    ],
  },
  ConsensusZone: {
    kind: "ConsensusZone",
    plural: "consensuszones",
    shortName: "zone",
    purpose:
      "A zone (a replication domain with its own root) and the rule that binds a subtree of the federation to it.",
    spec: zoneSpec,
    status: zoneStatus,
    rules: zoneRules,
    columns: [
      column("Pattern", ".spec.pathPattern"),
      column("Mode", ".status.mode"),
      column("Leader", ".status.leader"),
      column("Witness", ".status.witnessMode", 1),
      ...ready,
    ],
  },
  Mount: {
    kind: "Mount",
    plural: "mounts",
    shortName: "mnt",
    purpose: "A directory entry that shows a zone's root at a path.",
    spec: mountSpec,
    status: mountStatus,
    rules: mountRules,
    columns: [column("Path", ".spec.path"), column("Zone", ".spec.zone"), column("Access", ".spec.access"), ...ready],
  },
};

export const kindNames = Object.keys(kinds) as Kind[];

/** Identity of a resource within its federation. */
export function keyOf(resource: { kind: string; metadata: { name: string } }): string {
  return `${resource.kind}/${resource.metadata.name}`;
}
