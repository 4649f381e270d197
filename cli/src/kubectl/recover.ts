// kubectl nexus recover: finds out what a recovery block must say, shows what is lost, and writes it when told to.
import { hexOf } from "@nexus-federation/node/base/bytes.ts";
import { systemZone } from "@nexus-federation/node/tree/system-zone.ts";
import { LocalError } from "@nexus-federation/operator/backends/local/local-error.ts";
import type { GroupStatus, StatusReply } from "@nexus-federation/proto/admin.ts";
import type { Command } from "commander";
import { stringify } from "yaml";
import { type Tools, verb } from "../tools.ts";
import { allStatuses } from "../verbs/cluster.ts";
import { groupKind, zoneKind } from "./federation.ts";
import type { Kubectl, KubeObject } from "./kube.ts";

interface Flags {
  from: string;
  acceptDataLoss?: boolean;
}

interface Plan {
  fromBox: string;
  zone: string;
  groupUID: string;
  epoch: number;
  abandonedIncarnations: string[];
  acceptDataLoss: true;
}

export function recoverVerb(program: Command, kubectl: () => Kubectl): void {
  program
    .command("recover <zone>")
    .description("go on without a quorum from one copy; without --accept-data-loss only shows what that would mean")
    .requiredOption("--from <box>", "box whose copy the zone goes on from")
    .option("--accept-data-loss", "do it: what only the abandoned members held is lost")
    .action(verb((tools, zone: string, flags: Flags) => recover(tools, { kubectl: kubectl(), zone, flags })));
}

async function recover(
  tools: Tools,
  { kubectl, zone, flags }: { kubectl: Kubectl; zone: string; flags: Flags },
): Promise<void> {
  const { replies } = await allStatuses(tools);
  const here = replies.find((reply) => reply.box === flags.from);
  const log = here?.groups.find((group) => group.zone === zone);
  if (here === undefined || log === undefined)
    throw new LocalError("NOT_FOUND", `${flags.from} ${here ? `holds no copy of ${zone}` : "does not answer"}`);
  if (log.leader !== "")
    throw new LocalError("INVALID", `${zone} has a leader (${log.leader}): nothing is to be recovered`);
  const owner = ownerOf(zone, await kubectl.get([groupKind, zoneKind]));
  const { plan, text } = planOf(log, { from: flags.from, replies });
  const spec = { recovery: plan };
  const lines = [...text, "", `${owner.kind}/${owner.metadata.name}:`, stringify({ spec }).trimEnd()];
  if (flags.acceptDataLoss) {
    const patch = ["patch", owner.kind === "RaftGroup" ? groupKind : zoneKind, owner.metadata.name, "--type=merge"];
    await kubectl.run([...patch, "--field-manager=kubectl-nexus", "-p", JSON.stringify({ spec })]);
    lines.push("", "Written. Put the block into Git too, else a sync takes it out again.");
  } else lines.push("", "Nothing is done yet: say --accept-data-loss, or apply that.");
  const object = `${owner.kind}/${owner.metadata.name}`;
  tools.print(lines.join("\n"), { object, recovery: plan, done: flags.acceptDataLoss === true });
}

/** The resource that says who the members of the zone's log are. */
function ownerOf(zone: string, objects: readonly KubeObject[]): KubeObject {
  const groups = objects.filter(({ kind }) => kind === "RaftGroup");
  const declared = objects.find(({ kind, metadata }) => kind === "ConsensusZone" && metadata.name === zone);
  const named = declared?.spec?.["raftGroup"];
  const found =
    zone === systemZone
      ? groups.find(({ spec }) => spec?.["system"] === true)
      : named === undefined
        ? declared
        : groups.find(({ metadata }) => metadata.name === named);
  if (found === undefined)
    throw new LocalError("NOT_FOUND", `zone ${zone}: no resource of this namespace says who its members are`);
  return found;
}

function planOf(log: GroupStatus, { from, replies }: { from: string; replies: readonly StatusReply[] }) {
  const others = log.members.filter((member) => member.box !== from);
  const answers = (box: string) => replies.some((reply) => reply.box === box);
  const gone = others.filter((member) => !answers(member.box));
  const plan: Plan = {
    fromBox: from,
    zone: log.zone,
    groupUID: log.uid,
    epoch: (log.recovery?.epoch ?? 0) + 1,
    abandonedIncarnations: gone.map((member) => hexOf(member.incarnation)).filter((each) => each !== ""),
    acceptDataLoss: true,
  };
  const text = [
    `${log.zone} would go on from ${from} at entry ${log.commit} (applied ${log.applied}), term ${log.term}.`,
    `Given up for good, and banned: ${gone.map(({ box, role }) => `${box} (${role})`).join(", ") || "nobody"}.`,
    `What only they acknowledged after that entry is lost. Make sure that they are gone: destroy their disks.`,
    ...others.filter(({ box }) => answers(box)).map(({ box }) => `${box} answers, and stays a member.`),
  ];
  return { plan, text };
}
