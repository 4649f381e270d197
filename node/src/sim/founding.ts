import type { AdminReply, DeclaredMember } from "@nexus-federation/proto/admin.ts";
import type { BoxRecord, ZoneRule } from "@nexus-federation/proto/records.ts";
import { must } from "../base/assert.ts";
import { ruleOf } from "../tree/testing/rule.ts";
import { anyone } from "./data-box.ts";
import type { World } from "./world.ts";

export interface ZonePlan {
  zone: string;
  pattern: string;
  mode: string;
  /** Box, or "box:role". */
  members: string[];
}

const foundingMs = 20_000;

/** Starts all processes and founds a federation with these members of the system zone, then the zones. */
export async function found(world: World, system: string[], zones: readonly ZonePlan[]): Promise<void> {
  for (const process of world.processes.values()) process.start();
  await world.until(
    () => [...world.processes.values()].every((process) => process.up),
    foundingMs,
    () => "every process started",
  );
  const first = must(system[0], "a first member");
  const boxes = [...world.processes.keys()].map((name) => recordOf(world, name));
  const request = {
    federation: "fed",
    members: system.map((member) => declared(world, member)),
    timing: "region",
    boxes,
  };
  await admin(world, () => adminOf(world, first).bootstrap(request, anyone));
  await world.until(
    () => world.boxes.every((box) => box.node?.directory.boxes.length === boxes.length),
    foundingMs,
    () => "every box knows every box",
  );
  for (const plan of zones) await addZone(world, plan, first);
}

async function addZone(world: World, plan: ZonePlan, via: string): Promise<void> {
  const log = await addLog(world, plan.zone, plan.members, via);
  const { map } = adminOf(world, via).status({ zones: false }, anyone);
  const rules = [...(map?.rules ?? []), ruleFor(plan, log)];
  await admin(world, () => adminOf(world, via).installRules({ expectedEpoch: map?.epoch ?? 0, rules }, anyone));
  await world.until(
    () => world.boxes.every((box) => box.node?.directory.patternOf(plan.zone) !== undefined),
    foundingMs,
    () => `every box knows zone ${plan.zone}`,
  );
}

/** A zone's log without a rule that binds it; its number. */
export async function addLog(world: World, zone: string, members: readonly string[], via: string): Promise<number> {
  const request = {
    zone,
    members: members.map((member) => declared(world, member)),
    timing: "region",
    group: "",
    rule: undefined,
  };
  const made = await admin(world, () => adminOf(world, via).ensureZone(request, anyone));
  world.logs.set(zone, made.log);
  return made.log;
}

export function ruleFor({ zone, pattern, mode, members }: ZonePlan, log: number): ZoneRule {
  const copiesDeclared = members.filter((member) => !member.includes(":") && !member.startsWith("w")).length;
  const boxes = members.map((member) => member.split(":")[0] ?? "");
  return ruleOf({ zone, pattern, log, mode, members: boxes, copiesDeclared });
}

/** "box" or "box:role", as an admin call names it. */
export function declared(world: World, member: string): DeclaredMember {
  const [box = "", role] = member.split(":");
  const { incarnation } = world.process(box);
  return { box, role: role ?? (box.startsWith("w") ? "witness" : "voter"), incarnation };
}

export function recordOf(world: World, name: string): BoxRecord {
  const { incarnation } = world.process(name);
  const role = name.startsWith("w") ? "Witness" : "Data";
  return {
    name,
    incarnation,
    region: `region-${name}`,
    role,
    peerEndpoint: `${name}:1`,
    clientEndpoint: "",
    featureLevel: 1,
    cluster: "",
  };
}

function adminOf(world: World, name: string) {
  return must(world.box(name).node, `node ${name}`).box.admin;
}

async function admin(world: World, call: () => Promise<AdminReply>): Promise<AdminReply> {
  const done = await world.settle(call(), 60_000, "an admin call");
  if (done.failure !== undefined) throw new Error(`${done.failure.code}: ${done.failure.message}`);
  return done;
}
