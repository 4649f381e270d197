// The way out of a lost quorum, as far as it is the operator's: it is never taken by itself, only where an object names
// what to give up, and not before everything that can be seen from here agrees that it is gone. The box that goes on
// checks again (group/lost-quorum.ts of the node) and executes each epoch once.
import { systemZone } from "@nexus-federation/node/tree/system-zone.ts";
import type { Action } from "./actions.ts";
import type { Desired, DesiredRecovery } from "./desired.ts";
import type { Fault } from "./faults.ts";
import type { Observed } from "./observed.ts";
import type { Progress } from "./report.ts";

/** Recoveries that are declared and not yet executed; faults and what is waited for go into `progress`. */
export function recoveryActions(desired: Desired, observed: Observed, progress: Progress): Action[] {
  const actions: Action[] = [];
  for (const [object, recovery] of desired.recoveries) {
    const { zone, fromBox, uid, epoch, abandoned } = recovery;
    if ((observed.logs.get(zone)?.recovery?.epoch ?? 0) >= epoch) continue;
    const fault = misdeclared(object, recovery, desired) ?? contradicted(recovery, observed);
    if (fault !== undefined) {
      progress.faults.set(object, [...(progress.faults.get(object) ?? []), fault]);
      continue;
    }
    progress.waiting.set(object, `zone ${zone} is to go on from box ${fromBox} without its quorum (recovery ${epoch})`);
    actions.push({ type: "recover", on: fromBox, zone, uid, epoch, abandoned });
  }
  return actions;
}

function misdeclared(object: string, recovery: DesiredRecovery, desired: Desired): Fault | undefined {
  const { zone, fromBox, abandoned } = recovery;
  if (!zonesOf(object, desired).includes(zone)) {
    return refused(
      `zone ${zone} is not one of ${object}, which has ${zonesOf(object, desired).join(", ") || "none"}`,
      "zone",
    );
  }
  const box = desired.boxes.get(fromBox);
  if (box === undefined || box.role !== "Data")
    return refused(`there is no data box ${fromBox} to go on from`, "fromBox");
  const wrong = abandoned.find((one) => !/^[0-9a-f]{32}$/.test(one));
  if (wrong === undefined) return undefined;
  return refused(`${wrong} is no incarnation: 32 hexadecimal digits, as nexus status --json shows them`, listed);
}

const listed = "abandonedIncarnations";

/** Zones whose logs the object may recover. */
function zonesOf(object: string, desired: Desired): string[] {
  const [kind = "", name = ""] = object.split("/");
  if (kind === "ConsensusZone") return [name];
  const using = [...desired.zones.values()].filter((zone) => zone.group === name).map((zone) => zone.name);
  return desired.groups.get(name)?.system ? [systemZone, ...using] : using;
}

function contradicted({ zone, uid, abandoned }: DesiredRecovery, observed: Observed): Fault | undefined {
  const known = observed.logs.get(zone)?.uid ?? "";
  if (known !== "" && known !== uid) return refused(`the log of zone ${zone} is ${known}, not ${uid}`, "groupUID");
  for (const [name, { incarnation }] of observed.boxes) {
    if (!abandoned.includes(incarnation)) continue;
    return refused(`box ${name} answers with incarnation ${incarnation}, which is said to be gone for good`, listed);
  }
  return undefined;
}

function refused(why: string, field: string): Fault {
  const message = `The recovery is not executed: ${why}.`;
  return { reason: "RecoveryRefused", message, path: ["spec", "recovery", field] };
}
