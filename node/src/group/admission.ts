import { hexOf } from "../base/bytes.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import type { Proposal } from "./api.ts";
import type { HostCore } from "./core.ts";
import { chunksOfCommand } from "./entry.ts";
import { notApplied } from "./pending.ts";
import type { Replica } from "./replica.ts";

/** Operations that free space or end something: they go on while the disk is low. */
const frees = new Set(["delete", "release", "expire", "cancelWait", "dropChunks", "compactFeed"]);

/** Why a proposal is not taken; everything that can be known before it stands in the log. */
export function proposalRefusal(
  core: HostCore,
  replica: Replica | undefined,
  { proposal, draining }: { proposal: Proposal; draining: boolean },
): Refusal | undefined {
  if (replica === undefined) return notApplied("");
  if (!replica.isLeader) return notApplied(replica.leaderBox);
  if (draining) return notApplied("");
  const { settings, needs } = core;
  if (replica.pending.count + replica.proposals.count >= settings.pendingCountMax) {
    return refuse("OVERLOADED", `More than ${settings.pendingCountMax} commands wait at this log.`, {
      retryAfterMs: 50,
    });
  }
  const op = proposal.command.operation?.op;
  if (core.turns.isFull) {
    return refuse("DISK_FULL", "The log's disk has no room, not even for a delete; reads go on.", {
      retryAfterMs: 200,
    });
  }
  if (needs.diskLow() && !frees.has(op?.$case ?? "")) {
    return refuse("DISK_FULL", "The leader's disk is below its reserve; reads and deletes go on.");
  }
  if (op?.$case === "raiseLevel") return levelRefusal(core, replica, op.value.level);
  const missing = chunksOfCommand(proposal.command).find((address) => !needs.chunks.has(address));
  if (missing === undefined) return undefined;
  // Not the state machine's PRECONDITION_FAILED: this says nothing of an earlier attempt at another leader.
  return refuse(
    "COPIES_UNAVAILABLE",
    "The leader lacks a chunk that the command refers to; this attempt changed nothing: upload the content again.",
    { applied: false, details: { chunk: hexOf(missing) } },
  );
}

/** A level is raised only when every member supports it: none could go back, or apply what it does not know. */
function levelRefusal(core: HostCore, replica: Replica, level: number): Refusal | undefined {
  for (const { box, role } of replica.config.members) {
    if (role === "witness") continue;
    const known = box === core.self.box ? core.settings.featureLevel : core.needs.featureLevelOf(box);
    if (known !== undefined && known >= level) continue;
    return refuse("VERSION", `Box ${box} supports level ${known ?? "unknown"}, not ${level}; upgrade it first.`);
  }
  return undefined;
}
