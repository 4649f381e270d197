// A retired zone gives its paths up in its own log. When every box with a copy is gone for good nobody can do that, and
// its rule would stand for ever: a person may say so, naming the disks. Until then the rule stays and nothing waits for it.
import type { Action } from "./actions.ts";
import type { Desired, DesiredZone } from "./desired.ts";
import type { Fault } from "./faults.ts";
import type { Observed } from "./observed.ts";
import type { Progress } from "./report.ts";

/** Retired zones whose rule cannot be taken out: no member of their log that answers leads it. */
export function stuckZones(desired: Desired, observed: Observed): ReadonlySet<string> {
  const stuck = observed.rules.filter(
    ({ zone, state }) =>
      state !== "detached" && desired.zones.get(zone)?.retired && (observed.logs.get(zone)?.leader ?? "") === "",
  );
  return new Set(stuck.map(({ zone }) => zone));
}

/** Zones that are said to be lost and still have a rule; what contradicts that becomes a fault. */
export function lostZoneActions(desired: Desired, observed: Observed, progress: Progress): Action[] {
  const actions: Action[] = [];
  for (const name of stuckZones(desired, observed)) {
    const zone = desired.zones.get(name);
    if (zone?.lost === undefined) continue;
    const key = `ConsensusZone/${name}`;
    const fault = contradicted(zone, zone.lost, observed);
    if (fault !== undefined) {
      progress.faults.set(key, [...(progress.faults.get(key) ?? []), fault]);
      continue;
    }
    progress.waiting.set(key, "it is given up: its rule is being taken out");
    actions.push({ type: "destroyZone", zone: name, abandoned: zone.lost });
  }
  return actions;
}

function contradicted({ name }: DesiredZone, lost: readonly string[], observed: Observed): Fault | undefined {
  const wrong = lost.find((one) => !/^[0-9a-f]{32}$/.test(one));
  if (wrong !== undefined)
    return refused(`${wrong} is no incarnation: 32 hexadecimal digits, as nexus box ls --json shows them`);
  const answers = [...observed.boxes].find(([, { incarnation }]) => lost.includes(incarnation));
  if (answers !== undefined)
    return refused(`box ${answers[0]} answers with incarnation ${answers[1].incarnation}, which is said to be gone`);
  const members = observed.rules.find((rule) => rule.zone === name)?.members ?? [];
  const missing = members
    .map((box) => ({ box, incarnation: observed.registered.get(box)?.incarnation ?? "" }))
    .filter(({ incarnation }) => incarnation !== "" && !lost.includes(incarnation));
  if (missing.length === 0) return undefined;
  const names = missing.map(({ box, incarnation }) => `${box} (incarnation ${incarnation})`).join(", ");
  return refused(`${names} has a copy too; it comes back, or is listed`);
}

function refused(why: string): Fault {
  const message = `The zone is not given up: ${why}.`;
  return { reason: "LossRefused", message, path: ["spec", "lost", "abandonedIncarnations"] };
}
