// Boxes that must be away on purpose: another pod, a node that is emptied, sleep. One at a time in the whole federation,
// decided over all its logs at once: under a lock that lies in the system zone, so that two operators and a node drain
// cannot take two members of one log; followers first; who leads hands over before it goes; and only while the members
// that stay are a caught-up majority. A pod that is outdated and not ready is nobody's loss and goes without ceremony.
import type { Action } from "./actions.ts";
import type { Desired } from "./desired.ts";
import type { Observed, ObservedLog, ObservedMember } from "./observed.ts";

export interface DisruptionWorld {
  /** In whose name the lock is held. */
  holder: string;
  /** Logs that have another action this round. */
  busy: ReadonlySet<string>;
  waiting: Map<string, string>;
}

/** What a box is to be away for; empty when it is not. */
function reasonOf(box: string, desired: Desired, observed: Observed): "" | "restart" | "leave" | "sleep" {
  const workload = observed.workloads.get(box);
  if (workload === undefined) return "";
  if (desired.boxes.get(box)?.stop === "hibernate" && workload.stopped !== true) return "sleep";
  if (workload.pod?.outdated) return "restart";
  return workload.pod?.leaving ? "leave" : "";
}

/** Boxes that stay stopped, and pods that go without ceremony since nothing depends on them: needs no system zone. */
export function unguardedActions(desired: Desired, observed: Observed): Action[] {
  const actions: Action[] = [];
  const all = allHibernate(desired);
  for (const box of desired.boxes.values()) {
    const workload = observed.workloads.get(box.name);
    if (box.stop === "fence" || (box.stop === "hibernate" && (all || workload?.stopped === true))) {
      actions.push({ type: "stopWorkload", box: box.name });
      continue;
    }
    const pod = workload?.pod;
    const idle = workload?.running === false || (!observed.bootstrapped && observed.knownFederation === "");
    if (pod?.outdated && idle)
      actions.push({ type: "restartPod", box: box.name, podUid: pod.uid, why: "it is outdated and serves nothing" });
  }
  return actions;
}

function allHibernate(desired: Desired): boolean {
  const boxes = [...desired.boxes.values()].filter((box) => !box.foreign && !box.deleted);
  return boxes.length > 0 && boxes.every((box) => box.stop === "hibernate");
}

/** Next step of the one box whose turn it is, or whose turn is next. Asked only while the system zone serves. */
export function disruptionActions(desired: Desired, observed: Observed, world: DisruptionWorld): Action[] {
  const wishes = [...observed.workloads.keys()].filter((box) => isGuarded(box, desired, observed));
  const held = observed.disruption;
  if (held !== undefined && held.holder !== world.holder) {
    for (const box of wishes) world.waiting.set(`Box/${box}`, `${held.holder} has box ${held.box} away on purpose`);
    return [];
  }
  if (held !== undefined) {
    for (const box of wishes)
      if (box !== held.box) world.waiting.set(`Box/${box}`, `it is replaced after box ${held.box}`);
    return stepOf(held.box, { desired, observed, world, wanted: wishes.includes(held.box) });
  }
  const order = wishes.map((box) => ({ box, leads: ledBy(box, observed).length, blocked: blockedBy(box, observed) }));
  order.sort((a, b) => a.leads - b.leads || (a.box < b.box ? -1 : 1));
  for (const { box, blocked } of order) if (blocked !== "") world.waiting.set(`Box/${box}`, blocked);
  const next = order.find(({ blocked }) => blocked === "");
  return next === undefined ? [] : [{ type: "acquireDisruption", box: next.box }];
}

/** It is to be away, and its absence would be felt. */
function isGuarded(box: string, desired: Desired, observed: Observed): boolean {
  const reason = reasonOf(box, desired, observed);
  if (reason === "" || desired.boxes.get(box)?.stop === "fence") return false;
  if (reason === "sleep") return !allHibernate(desired);
  return observed.workloads.get(box)?.running === true;
}

interface Turn {
  desired: Desired;
  observed: Observed;
  world: DisruptionWorld;
  wanted: boolean;
}

function stepOf(box: string, { desired, observed, world, wanted }: Turn): Action[] {
  const workload = observed.workloads.get(box);
  if (!wanted) {
    const away = isAway(box, desired, observed);
    if (away === "") return [{ type: "releaseDisruption", box }];
    if (desired.boxes.has(box)) world.waiting.set(`Box/${box}`, away);
    // A pod that is being evicted, or has not come back, keeps its permission.
    return [];
  }
  const led = ledBy(box, observed);
  if (led.length > 0) {
    world.waiting.set(`Box/${box}`, `it hands over ${led.map(({ zone }) => zone).join(", ")} first`);
    return led.flatMap(({ zone, to }) =>
      world.busy.has(zone) ? [] : [{ type: "transfer" as const, zone, from: box, to }],
    );
  }
  const blocked = blockedBy(box, observed);
  if (blocked !== "") {
    world.waiting.set(`Box/${box}`, blocked);
    return [];
  }
  const reason = reasonOf(box, desired, observed);
  if (reason === "sleep") return [{ type: "stopWorkload", box }];
  const pod = workload?.pod;
  if (pod === undefined) return [];
  world.waiting.set(`Box/${box}`, reason === "leave" ? "its pod may be evicted now" : "its pod is being replaced");
  if (reason === "leave") return [{ type: "allowEviction", box }];
  return [{ type: "restartPod", box, podUid: pod.uid, why: "what is asked for has changed" }];
}

/** Why the box's turn is not over, one clause; empty when it is back, gone for good, or asleep as asked. */
function isAway(box: string, desired: Desired, observed: Observed): string {
  const wish = desired.boxes.get(box);
  const workload = observed.workloads.get(box);
  if (wish === undefined || wish.deleted || wish.stop !== "" || workload === undefined) return "";
  if (!workload.running) return "its new pod is not ready yet";
  if (wish.role === "Data" && !observed.boxes.has(box)) return "its new pod does not answer yet";
  for (const [zone, log] of observed.logs) {
    const member = log.members.get(box);
    if (member === undefined || log.leader === box) continue;
    if (log.leader === "") return `${zone} has no leader`;
    if (!member.active || (member.role !== "witness" && !member.caughtUp)) return `it has not caught up in ${zone} yet`;
    if (log.witnessMode === "SOLO") return `${zone} is not back in PAIR yet`;
  }
  return "";
}

/** Logs that the box leads and another voter could lead. */
function ledBy(box: string, observed: Observed): { zone: string; to: string }[] {
  return [...observed.logs].flatMap(([zone, log]) => {
    if (log.leader !== box) return [];
    const to = [...log.members].find(([name, member]) => name !== box && mayLead(member));
    return to === undefined ? [] : [{ zone, to: to[0] }];
  });
}

function mayLead(member: ObservedMember): boolean {
  return member.role === "voter" && member.active && member.caughtUp;
}

/**
 * Zones that may need the disk which the box had: their logs have no leader without it, or are not seen at all; or, of a
 * witness, its record decides who of the two may go on. While there are any, no other disk takes its place by itself.
 */
export function zonesNeedingDisk(box: string, observed: Observed): string[] {
  const needing = observed.rules
    .filter((rule) => rule.state !== "detached" && rule.members.includes(box) && !observed.logs.has(rule.zone))
    .map((rule) => rule.zone);
  for (const [zone, log] of observed.logs) {
    const role = log.members.get(box)?.role;
    if (role === undefined || role === "learner") continue;
    if (log.leader === "" || (role === "witness" && log.witnessMode !== "PAIR")) needing.push(zone);
  }
  return needing;
}

/** Why the logs cannot do without the box now, one clause; empty when they can. */
export function blockedBy(box: string, observed: Observed): string {
  for (const rule of observed.rules)
    if (rule.state !== "detached" && rule.members.includes(box) && !observed.logs.has(rule.zone))
      return `no member of ${rule.zone} answers`;
  for (const [zone, log] of observed.logs) {
    const role = log.members.get(box)?.role;
    if (role === undefined || role === "learner") continue;
    const why = needs(box, log);
    if (why !== "") return `${zone} cannot do without it: ${why}`;
  }
  return "";
}

function needs(box: string, log: ObservedLog): string {
  if (log.leader === "") return "it has no leader";
  if (log.joint) return "its members are changing";
  const others = [...log.members].filter(([name]) => name !== box);
  const voters = others.filter(([, member]) => member.role === "voter");
  const behind = voters.filter(([name, member]) => name !== log.leader && !(member.active && member.caughtUp));
  const witness = [...log.members].find(([, member]) => member.role === "witness");
  if (witness !== undefined) {
    if (log.witnessMode !== "PAIR") return "it runs in SOLO";
    if (behind.length > 0) return `${behind[0]![0]} has not caught up`;
    return witness[0] !== box && !witness[1].active ? `witness ${witness[0]} does not answer` : "";
  }
  // A log with one or two voters stops without any of them: that cannot be helped, only be short.
  const total = voters.length + 1;
  const needed = total <= 2 ? voters.length : Math.floor(total / 2) + 1;
  return voters.length - behind.length >= needed
    ? ""
    : `${behind.map(([name]) => name).join(", ")} ${behind.length === 1 ? "has" : "have"} not caught up`;
}
