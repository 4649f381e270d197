import * as z from "zod";
import { duration, pathPattern, resourceName, revision, setList, stateField, text } from "./fields.ts";
import { membersMax, recovery } from "./raft-group.ts";

export const zoneSpec = z.strictObject({
  revision: revision(),
  state: stateField(),
  retention: duration()
    .default("168h")
    .describe(
      "How long the data of a retired zone is kept. Default 168h (a week). It dies no earlier, except by `nexus zone destroy`.",
    ),
  pathPattern: pathPattern().describe(
    "Paths that belong to the zone: literal segments, * for exactly one, and a last * or ** for the whole subtree. The most specific pattern of the federation wins; two that can tie are refused. Immutable.",
  ),
  mode: z
    .enum(["strong", "strong_ha", "eventual", "quorum"])
    .describe(
      "strong: one authority, linearizable. strong_ha: Raft members, linearizable, survives a failure. eventual: local reads with a proven staleness bound. quorum: leaderless registers. Changing strong, strong_ha and eventual/authority into each other moves no data.",
    ),
  raftGroup: resourceName()
    .optional()
    .describe("The RaftGroup whose members hold the zone. strong_ha only, and required there."),
  authorityBox: resourceName()
    .optional()
    .describe(
      "The box that alone decides. strong and eventual with writers: authority only, and required there. Changing it hands the zone over.",
    ),
  replicas: setList(resourceName(), { max: membersMax })
    .optional()
    .describe(
      "Boxes with a copy. Learners in strong and eventual/authority (default none); the replicas themselves in eventual/any and quorum, where they are required.",
    ),
  writers: z
    .enum(["authority", "any"])
    .optional()
    .describe(
      "eventual only. authority (default): writes go to authorityBox. any: every replica takes writes and copies are merged.",
    ),
  quorum: z
    .strictObject({
      read: z
        .int()
        .min(1)
        .max(membersMax)
        .describe("Replicas that must answer a read (R). R + W must be above the number of replicas."),
      write: z
        .int()
        .min(1)
        .max(membersMax)
        .describe("Replicas that must store a write (W). More than half of the replicas."),
    })
    .optional()
    .describe("quorum only, and required there."),
  staleReadMaxAge: duration()
    .optional()
    .describe(
      "eventual only. Oldest state a local read may show, default 5s; a copy that cannot prove it sends the read on to the authority, or refuses.",
    ),
  readPreference: z
    .enum(["local", "nearest", "leader", "authority"])
    .optional()
    .describe(
      "Where reads go that say nothing. Default by mode: leader (strong_ha), authority (strong), local (eventual).",
    ),
  writeConcern: z
    .enum(["authority", "majority", "all"])
    .optional()
    .describe(
      "Copies a write waits for that says nothing. Default by mode: majority (strong_ha), else authority. all: every voter, so one lost member stops writes.",
    ),
  locks: z
    .enum(["refuse", "upgrade"])
    .optional()
    .describe(
      "eventual with writers: authority only. refuse (default): a lock or compare-and-set answers CONSISTENCY. upgrade: it goes to the authority.",
    ),
  conflict: z
    .enum(["keep-both", "lww", "or-set", "union"])
    .optional()
    .describe(
      "eventual with writers: any only. What becomes of concurrent writes: keep-both (default), lww (last writer wins), or-set, union.",
    ),
  regions: setList(text(63), { max: 32 })
    .optional()
    .describe("Regions that the zone's data may lie in. Default: any. A member in another region is refused."),
  recovery: recovery(),
  lost: z
    .strictObject({
      abandonedIncarnations: setList(text(64), { max: membersMax }).describe(
        "Incarnations of every box with a copy, all gone for good. Refused while one of them answers, or when one is missing.",
      ),
      acceptDataLoss: z.literal(true).describe("Must be true: everything in the zone is lost."),
    })
    .optional()
    .describe(
      "Only with state: Retired. Every copy is gone for good, so the zone's log can give up nothing any more: its rule is taken out without it. Never done automatically. Default: absent.",
    ),
});
export type ZoneSpec = z.output<typeof zoneSpec>;
