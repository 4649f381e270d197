// What one object alone can break beyond its schema. Each rule stands here once, as the CEL text that the API server
// evaluates, as the predicate that local commands evaluate, and as the sentence that a person reads in both places, so
// that a laptop and a cluster agree. `self` is the resource's spec. What takes two objects to see is no rule: it becomes
// a condition (planner/faults.ts).
import { amountOf } from "./amount.ts";
import type { BoxSpec } from "./box.ts";
import { durationMs } from "./duration.ts";
import type { FederationSpec } from "./federation.ts";
import type { MountSpec } from "./mount.ts";
import type { RaftGroupSpec } from "./raft-group.ts";
import { immutable, type Rule } from "./rule.ts";

export const federationRules: Rule<FederationSpec>[] = [
  immutable("trustDomain", "every identity of the federation carries it"),
  {
    field: "tls.issuerRef",
    cel: "!has(self.tls) || (self.tls.source == 'CertManager') == has(self.tls.issuerRef)",
    sentence: "tls.issuerRef is required with tls.source CertManager and refused with any other.",
    holds: (self) =>
      self.tls === undefined || (self.tls.source === "CertManager") === (self.tls.issuerRef !== undefined),
  },
];

export const boxRules: Rule<BoxSpec>[] = [
  immutable("role", "a data box and a witness keep different things on their disk"),
  immutable("cluster", "the volume cannot follow into another cluster"),
  immutable("region", "receipts and zones rely on where the data lies"),
  {
    field: "storage.storageClassName",
    cel: "self.storage.storageClassName == oldSelf.storage.storageClassName",
    sentence:
      "storage.storageClassName cannot be changed: a volume keeps its class. Add a new box and replace the member.",
    holds: (self, old) => self.storage.storageClassName === old.storage.storageClassName,
    transition: true,
  },
  {
    field: "storage.size",
    cel: "quantity(self.storage.size).compareTo(quantity(oldSelf.storage.size)) >= 0",
    sentence: "storage.size can only grow: a volume cannot be made smaller.",
    holds: (self, old) => amountOf(self.storage.size)! >= amountOf(old.storage.size)!,
    transition: true,
  },
  {
    field: "service.loadBalancerClass",
    cel: "!has(self.service) || !has(self.service.loadBalancerClass) || self.service.type == 'LoadBalancer'",
    sentence: "service.loadBalancerClass is used only with service.type LoadBalancer.",
    holds: (self) => self.service?.loadBalancerClass === undefined || self.service.type === "LoadBalancer",
  },
];

const voters = (self: RaftGroupSpec) => self.members.filter((member) => member.role === "Voter").length;
const witnesses = (self: RaftGroupSpec) => self.members.filter((member) => member.role === "Witness").length;

export const raftGroupRules: Rule<RaftGroupSpec>[] = [
  immutable("system", "the system zone cannot move to another group; change the members of this one"),
  {
    field: "members",
    cel: "self.members.exists(m, m.role == 'Voter')",
    sentence: "A group needs at least one member with role Voter.",
    holds: (self) => voters(self) > 0,
  },
  {
    field: "members",
    cel: "self.members.filter(m, m.role == 'Voter').size() <= 7",
    sentence:
      "A group has at most 7 Voters; more make every write slower and survive no likelier failure. Make the others Learners.",
    holds: (self) => voters(self) <= 7,
  },
  {
    field: "members",
    cel: "self.members.filter(m, m.role == 'Witness').size() <= 1",
    sentence: "A group has at most one Witness.",
    holds: (self) => witnesses(self) <= 1,
  },
  {
    field: "members",
    cel: "!self.members.exists(m, m.role == 'Witness') || self.members.filter(m, m.role == 'Voter').size() == 2",
    sentence:
      "A Witness stands only beside exactly two Voters: with one it adds nothing, with three or more it is not needed.",
    holds: (self) => witnesses(self) === 0 || voters(self) === 2,
  },
  {
    field: "bootstrapBox",
    cel: "self.system == has(self.bootstrapBox)",
    sentence: "bootstrapBox is required with system: true and refused without it.",
    holds: (self) => self.system === (self.bootstrapBox !== undefined),
  },
  {
    field: "bootstrapBox",
    cel: "!has(self.bootstrapBox) || !has(oldSelf.bootstrapBox) || self.bootstrapBox == oldSelf.bootstrapBox",
    sentence: "bootstrapBox cannot be changed: two boxes that may write a first entry could make two federations.",
    holds: (self, old) => !self.bootstrapBox || !old.bootstrapBox || self.bootstrapBox === old.bootstrapBox,
    transition: true,
  },
  {
    field: "timing",
    cel: "has(self.timing.profile) ? !has(self.timing.electionTimeout) && !has(self.timing.heartbeatInterval) : has(self.timing.electionTimeout) && has(self.timing.heartbeatInterval)",
    sentence: "timing takes either a profile, or both electionTimeout and heartbeatInterval.",
    holds: ({ timing }) =>
      timing.profile !== undefined
        ? timing.electionTimeout === undefined && timing.heartbeatInterval === undefined
        : timing.electionTimeout !== undefined && timing.heartbeatInterval !== undefined,
  },
  {
    field: "timing.heartbeatInterval",
    cel: "!has(self.timing.heartbeatInterval) || duration(self.timing.heartbeatInterval) >= duration('10ms')",
    sentence: "timing.heartbeatInterval must be at least 10ms: the boxes' clocks tick no finer.",
    holds: ({ timing }) => timing.heartbeatInterval === undefined || durationMs(timing.heartbeatInterval) >= 10,
  },
  {
    field: "timing.electionTimeout",
    cel: "!has(self.timing.electionTimeout) || !has(self.timing.heartbeatInterval) || duration(self.timing.electionTimeout) - duration(self.timing.heartbeatInterval) >= duration(self.timing.heartbeatInterval)",
    sentence:
      "timing.electionTimeout must be at least twice timing.heartbeatInterval: with one beat lost or late a healthy leader would be voted out.",
    holds: ({ timing }) =>
      timing.electionTimeout === undefined ||
      timing.heartbeatInterval === undefined ||
      durationMs(timing.electionTimeout) >= 2 * durationMs(timing.heartbeatInterval),
  },
];

export const mountRules: Rule<MountSpec>[] = [
  immutable("path", "a mount at another place is another mount"),
  immutable("zone", "a mount of another zone is another mount"),
];
