// kubectl nexus status: what the resources say, and what moves all the time and so stands in no resource: match and lag.
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import { intents, isAsked } from "@nexus-federation/operator/api/annotations.ts";
import type { Command } from "commander";
import { useContext } from "../context.ts";
import { table } from "../show.ts";
import { type Tools, verb } from "../tools.ts";
import { allStatuses, groupsOf, jsonGroup } from "../verbs/cluster.ts";
import { type AccessFlags, connectTo, ownKinds } from "./federation.ts";
import type { Kubectl, KubeObject } from "./kube.ts";

export function statusVerb(program: Command, kubectl: () => Kubectl): void {
  program
    .command("status")
    .description("what the resources say, and members, lag and leaders as the boxes say")
    .option("--no-boxes", "ask the API server only")
    .action(verb((tools, flags: { boxes: boolean }) => status(tools, kubectl(), flags.boxes)));
}

interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
}

async function status(tools: Tools, kubectl: Kubectl, ask: boolean): Promise<void> {
  const objects = (await kubectl.get(ownKinds)).map(rowOf);
  const resources = table(
    objects.map((row) => [row.object, row.ready, row.reason, [...row.intents, row.message].join(" ").trim()]),
    { head: ["OBJECT", "READY", "REASON", ""] },
  );
  const boxes = ask && objects.length > 0 ? await boxesSay(tools, kubectl) : undefined;
  const parts = [objects.length === 0 ? "no federation in this namespace" : resources, boxes?.text ?? ""];
  tools.print(parts.filter((part) => part !== "").join("\n\n"), { objects, ...boxes?.json });
}

function rowOf({ kind, metadata, status: said }: KubeObject) {
  const conditions = (said?.["conditions"] ?? []) as Condition[];
  const ready = conditions.find(({ type }) => type === "Ready");
  return {
    object: `${kind}/${metadata.name}`,
    ready: ready?.status ?? "Unknown",
    reason: ready?.reason ?? "",
    message: ready?.status === "True" ? "" : (ready?.message ?? "no operator has looked at it yet"),
    intents: intents
      .filter((name) => isAsked(metadata.annotations, name))
      .map((name) => `[${name.slice(name.indexOf("/") + 1)}]`),
  };
}

async function boxesSay(tools: Tools, kubectl: Kubectl): Promise<{ text: string; json: object }> {
  try {
    useContext(await connectTo(kubectl, tools.options as AccessFlags));
    const { replies, silent } = await allStatuses(tools);
    const groups = groupsOf(replies).map(({ group }) => jsonGroup(group));
    const rows = groups.flatMap(({ zone, leader, term, mode, members }) =>
      members.map((member) => [
        zone,
        member.box,
        member.box === leader ? "leader" : member.role,
        `${term}${mode ? ` ${mode}` : ""}`,
        member.role === "witness" ? "" : String(member.lag),
        member.state,
      ]),
    );
    const head = ["ZONE", "BOX", "ROLE", "TERM", "LAG", "STATE"];
    const lines = silent.map((one) => `${one.endpoint} does not answer: ${one.problem}`);
    return { text: [table(rows, { head }), ...lines].join("\n"), json: { groups, silent } };
  } catch (error) {
    const reason = messageOf(error);
    return { text: `the boxes could not be asked: ${reason}`, json: { unasked: reason } };
  }
}
