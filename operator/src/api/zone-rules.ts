import { immutable, type Rule } from "./rule.ts";
import type { ZoneSpec } from "./zone.ts";

const log =
  "(self.mode == 'strong' || (self.mode == 'eventual' && (!has(self.writers) || self.writers == 'authority')))";
const any = "(self.mode == 'eventual' && has(self.writers) && self.writers == 'any')";
const leaderless = `(self.mode == 'quorum' || ${any})`;

const isAny = (self: ZoneSpec) => self.mode === "eventual" && self.writers === "any";
const hasAuthority = (self: ZoneSpec) => self.mode === "strong" || (self.mode === "eventual" && !isAny(self));
const isLeaderless = (self: ZoneSpec) => self.mode === "quorum" || isAny(self);

/** The field is refused where the mode does not use it. */
function onlyWhere(
  field: keyof ZoneSpec & string,
  cel: string,
  where: { sentence: string; holds: (s: ZoneSpec) => boolean },
): Rule<ZoneSpec> {
  return {
    field,
    cel: `!has(self.${field}) || ${cel}`,
    sentence: `${field} is used only ${where.sentence}.`,
    holds: (self) => self[field] === undefined || where.holds(self),
  };
}

export const zoneRules: Rule<ZoneSpec>[] = [
  immutable("pathPattern", "files would change their place without being moved"),
  {
    field: "pathPattern",
    cel: "!self.pathPattern.split('/').exists(s, s == '.' || s == '..') && !self.pathPattern.startsWith('/zone:')",
    sentence: "pathPattern has no segments . and .., and none that starts with zone: at its root.",
    holds: (self) =>
      !self.pathPattern.split("/").some((part) => part === "." || part === "..") &&
      !self.pathPattern.startsWith("/zone:"),
  },
  {
    field: "raftGroup",
    cel: "(self.mode == 'strong_ha') == has(self.raftGroup)",
    sentence: "raftGroup is required in mode strong_ha and refused in every other.",
    holds: (self) => (self.mode === "strong_ha") === (self.raftGroup !== undefined),
  },
  {
    field: "authorityBox",
    cel: `${log} == has(self.authorityBox)`,
    sentence:
      "authorityBox is required in mode strong and in eventual with writers: authority, and refused in every other.",
    holds: (self) => hasAuthority(self) === (self.authorityBox !== undefined),
  },
  onlyWhere("replicas", "self.mode != 'strong_ha'", {
    sentence:
      "in modes strong, eventual and quorum; in strong_ha the copies are the members of the raftGroup (Learners included)",
    holds: (self) => self.mode !== "strong_ha",
  }),
  {
    field: "replicas",
    cel: `!${leaderless} || (has(self.replicas) && self.replicas.size() > 0)`,
    sentence: "replicas is required in mode quorum and in eventual with writers: any.",
    holds: (self) => !isLeaderless(self) || (self.replicas?.length ?? 0) > 0,
  },
  {
    field: "replicas",
    cel: "!has(self.replicas) || !has(self.authorityBox) || !(self.authorityBox in self.replicas)",
    sentence: "replicas must not name the authorityBox: it has the first copy already.",
    holds: (self) => self.authorityBox === undefined || !(self.replicas ?? []).includes(self.authorityBox),
  },
  onlyWhere("writers", "self.mode == 'eventual'", {
    sentence: "in mode eventual",
    holds: (self) => self.mode === "eventual",
  }),
  {
    field: "quorum",
    cel: "(self.mode == 'quorum') == has(self.quorum)",
    sentence: "quorum is required in mode quorum and refused in every other.",
    holds: (self) => (self.mode === "quorum") === (self.quorum !== undefined),
  },
  {
    field: "quorum.write",
    cel: "!has(self.quorum) || !has(self.replicas) || 2 * self.quorum.write > self.replicas.size()",
    sentence: "quorum.write must be more than half of the replicas: two writes could miss each other otherwise.",
    holds: (self) => !self.quorum || !self.replicas || 2 * self.quorum.write > self.replicas.length,
  },
  {
    field: "quorum.read",
    cel: "!has(self.quorum) || !has(self.replicas) || self.quorum.read + self.quorum.write > self.replicas.size()",
    sentence: "quorum.read + quorum.write must be more than the replicas: a read could miss the last write otherwise.",
    holds: (self) => !self.quorum || !self.replicas || self.quorum.read + self.quorum.write > self.replicas.length,
  },
  {
    field: "quorum",
    cel: "!has(self.quorum) || !has(self.replicas) || (self.quorum.read <= self.replicas.size() && self.quorum.write <= self.replicas.size())",
    sentence: "quorum.read and quorum.write cannot be more than the replicas there are.",
    holds: ({ quorum, replicas }) => !quorum || !replicas || Math.max(quorum.read, quorum.write) <= replicas.length,
  },
  onlyWhere("staleReadMaxAge", "self.mode == 'eventual'", {
    sentence: "in mode eventual; elsewhere a request that accepts stale data says so itself",
    holds: (self) => self.mode === "eventual",
  }),
  onlyWhere("readPreference", "self.mode != 'quorum'", {
    sentence: "in modes with a log or local reads, not in quorum",
    holds: (self) => self.mode !== "quorum",
  }),
  {
    field: "readPreference",
    cel: `!has(self.readPreference) || self.readPreference != 'authority' || ${log}`,
    sentence: "readPreference authority needs an authorityBox; in strong_ha say leader.",
    holds: (self) => self.readPreference !== "authority" || hasAuthority(self),
  },
  {
    field: "readPreference",
    cel: "!has(self.readPreference) || self.readPreference != 'leader' || self.mode == 'strong_ha'",
    sentence: "readPreference leader is used only in mode strong_ha; where there is an authorityBox say authority.",
    holds: (self) => self.readPreference !== "leader" || self.mode === "strong_ha",
  },
  onlyWhere("writeConcern", `!${leaderless}`, {
    sentence: "in modes with a log, not in quorum or eventual with writers: any",
    holds: (self) => !isLeaderless(self),
  }),
  {
    field: "writeConcern",
    cel: "!has(self.writeConcern) || self.writeConcern != 'authority' || self.mode != 'strong_ha'",
    sentence: "writeConcern authority is refused in strong_ha: it would acknowledge what is not committed.",
    holds: (self) => self.writeConcern !== "authority" || self.mode !== "strong_ha",
  },
  onlyWhere("locks", `(self.mode == 'eventual' && !${any})`, {
    sentence: "in mode eventual with writers: authority; strong and strong_ha always lock, the others never",
    holds: (self) => self.mode === "eventual" && !isAny(self),
  }),
  onlyWhere("conflict", any, { sentence: "in mode eventual with writers: any", holds: isAny }),
  {
    field: "lost",
    cel: "!has(self.lost) || self.state == 'Retired'",
    sentence: "lost is used only with state: Retired: a zone that is given up is not served again.",
    holds: (self) => self.lost === undefined || self.state === "Retired",
  },
  onlyWhere("recovery", `!${leaderless}`, { sentence: "in modes with a log", holds: (self) => !isLeaderless(self) }),
];
