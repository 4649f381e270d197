// nexus status: boxes, groups and zones at a glance; from the supervisor when the federation runs here, else from the boxes.
import { callSupervisor } from "@nexus-federation/operator/backends/local/control.ts";
import { Folder } from "@nexus-federation/operator/backends/local/folder.ts";
import type { LocalStatus } from "@nexus-federation/operator/backends/local/status.ts";
import type { Command } from "commander";
import { findContext } from "../context.ts";
import { countOf, table } from "../show.ts";
import { type Tools, verb } from "../tools.ts";
import { allStatuses, groupsOf, jsonGroup } from "./cluster.ts";

export function statusVerbs(program: Command): void {
  program.command("status").description("boxes, groups (leader, term, PAIR/SOLO, lag) and zones").action(verb(status));
}

async function status(tools: Tools): Promise<void> {
  const { dir } = findContext(tools.options).context;
  const local =
    dir === undefined ? undefined : await callSupervisor(new Folder(dir), { verb: "status" }).catch(() => undefined);
  if (local) return tools.print(statusText(local), local);
  const { replies, silent } = await allStatuses(tools);
  const groups = groupsOf(replies).map(({ group }) => jsonGroup(group));
  const boxes = replies.map((reply) => ({
    name: reply.box,
    region: reply.region,
    state: reply.state,
    version: reply.version,
  }));
  const text = [
    table(
      boxes.map((box) => [box.name, box.region, box.state, box.version]),
      { head: ["BOX", "REGION", "STATE", "VERSION"] },
    ),
    table(
      groups.map((g) => [g.zone, g.leader || "none", String(g.term), g.mode ?? "", String(g.commit)]),
      { head: ["ZONE", "LEADER", "TERM", "MODE", "COMMIT"] },
    ),
    ...silent.map((one) => `${one.endpoint} does not answer: ${one.problem}`),
  ];
  tools.print(text.join("\n\n"), { boxes, groups, silent });
}

export function statusText(local: LocalStatus): string {
  const boxes = table(
    local.boxes.map((box) => [
      box.name,
      box.role,
      box.region,
      box.state,
      box.pid ? String(box.pid) : "-",
      box.http || "-",
      box.restarts ? countOf(box.restarts, "restart") : "",
    ]),
    { head: ["BOX", "ROLE", "REGION", "STATE", "PID", "HTTP AND GRPC", ""] },
  );
  const groups = table(
    local.groups.map((group) => [
      group.zone,
      group.leader || "none",
      String(group.term),
      group.mode || "-",
      group.members
        .map(
          (m) =>
            `${m.box} (${m.role}${m.lag > 0 ? `, lag ${m.lag}` : ""}${m.state === "CaughtUp" ? "" : `, ${m.state}`})`,
        )
        .join(", "),
    ]),
    { head: ["GROUP", "LEADER", "TERM", "MODE", "MEMBERS"] },
  );
  const zones = table(
    local.zones.map((zone) => [
      zone.name,
      zone.path,
      zone.wanted ? `${zone.mode || "-"} -> ${zone.wanted}` : zone.mode || "-",
      String(zone.epoch),
      zone.ready ? "ready" : `${zone.reason}`,
      zone.ready ? "" : withoutReason(zone),
    ]),
    { head: ["ZONE", "PATH", "MODE", "EPOCH", "READY", ""] },
  );
  const faults = local.faults.map((fault) => `${fault.object}: ${fault.reason}: ${fault.message}`);
  const problems = local.problems.map(problemText);
  const ofBoxes = local.boxes.flatMap((box) => box.problems.map((problem) => `${box.name}: ${problem}`));
  return [boxes, groups, zones, [...faults, ...ofBoxes, ...problems].join("\n")]
    .filter((part) => part !== "")
    .join("\n\n");
}

/** The reason stands in the column before. */
function withoutReason({ reason, message }: LocalStatus["zones"][number]): string {
  return message.startsWith(`${reason}; `) ? message.slice(reason.length + 2) : message;
}

/** A deed that was refused and is tried again, as one sentence. */
export function problemText({ subject, message }: LocalStatus["problems"][number]): string {
  const [deed = "", ...rest] = subject.split(" ");
  const what = deed === "installRules" ? `the rules of epoch ${rest.join(" ")} are not in force yet` : subject;
  return `${what}: ${message}`;
}
