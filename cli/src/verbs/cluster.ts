// What on-call needs: leaders, members, zones, boxes, switchover.
import { hexOf } from "@nexus-federation/node/base/bytes.ts";
import { type ErrorCode, messageOf, NexusError } from "@nexus-federation/node/base/errors.ts";
import { NexusAdmin } from "@nexus-federation/node/client/admin.ts";
import { callSupervisor } from "@nexus-federation/operator/backends/local/control.ts";
import { Folder } from "@nexus-federation/operator/backends/local/folder.ts";
import { LocalError } from "@nexus-federation/operator/backends/local/local-error.ts";
import { describesBetter } from "@nexus-federation/operator/backends/shared/observe.ts";
import type { GroupStatus, StatusReply } from "@nexus-federation/proto/admin.ts";
import type { RuleMap, ZoneRule } from "@nexus-federation/proto/records.ts";
import type { Command } from "commander";
import { findContext } from "../context.ts";
import { table } from "../show.ts";
import { checkConfirmed, type Tools, verb } from "../tools.ts";

export function clusterVerbs(program: Command): void {
  program
    .command("switchover <zone> [box]")
    .description("hand the zone's leadership to a box, or to the best caught-up voter")
    .action(verb(switchover));
  const raft = program.command("raft").description("the replicated logs behind the zones");
  raft.command("members [zone]").description("members of a zone's log: role, match, lag").action(verb(members));
  raft.command("transfer <zone> [box]").description("alias of switchover").action(verb(switchover));
  const zone = program.command("zone").description("zones and their rules");
  zone.command("ls").description("zones with pattern, mode, epoch, leader").action(verb(zones));
  zone
    .command("destroy <zone>")
    .description("delete a retired zone's data for good")
    .requiredOption("--confirm <zone>", "the zone's name again")
    .option(
      "--lost <boxes>",
      "take its rule out too: all boxes that have a copy, gone for good with their disks, separated by commas",
    )
    .action(verb(destroy));
}

interface Statuses {
  replies: StatusReply[];
  /** Where each box that answered was asked. */
  endpoints: ReadonlyMap<string, string>;
  silent: Silent[];
}

interface Silent {
  endpoint: string;
  problem: string;
  code: ErrorCode;
}

/** Status of every box that answers; the others by their problem. */
export async function allStatuses(tools: Tools): Promise<Statuses> {
  const known = new Set(tools.settings.endpoints);
  const hello = await tools.client.hello({ timeoutMs: 3000 }).catch(() => undefined);
  for (const box of hello?.boxes ?? []) if (box.clientEndpoint && box.role !== "Witness") known.add(box.clientEndpoint);
  const replies: StatusReply[] = [];
  const endpoints = new Map<string, string>();
  const silent: Silent[] = [];
  await Promise.all(
    [...known].map(async (endpoint) => {
      const admin = new NexusAdmin(tools.settings, endpoint);
      try {
        const reply = await admin.status(2000);
        if (!endpoints.has(reply.box)) replies.push(reply);
        endpoints.set(reply.box, endpoint);
      } catch (error) {
        if (error instanceof NexusError && (error.code === "UNAUTHENTICATED" || error.code === "DENIED")) throw error;
        silent.push({
          endpoint,
          problem: messageOf(error),
          code: error instanceof NexusError ? error.code : "INTERNAL",
        });
      } finally {
        admin.close();
      }
    }),
  );
  const [stranger] = silent;
  if (replies.length === 0 && stranger && silent.every((one) => one.code === "INVALID"))
    throw new NexusError("INVALID", `${stranger.endpoint}: ${stranger.problem}`);
  if (replies.length === 0)
    throw new NexusError(
      "ZONE_UNAVAILABLE",
      `no box answers (${silent.map((one) => `${one.endpoint}: ${one.problem}`).join("; ")})`,
    );
  return { replies: replies.sort((a, b) => a.box.localeCompare(b.box)), endpoints, silent };
}

/** The box that can best tell all of a zone: its leader, else one that holds the log; undefined when none answers. */
export function holderOf(replies: readonly StatusReply[], zone: string): string | undefined {
  const roles = ["leader", "follower", "candidate", "learner"];
  const rank = (role: string) => (roles.includes(role) ? roles.indexOf(role) : roles.length);
  const holders = replies.flatMap((reply) =>
    reply.groups.filter((group) => group.zone === zone).map((group) => ({ box: reply.box, group })),
  );
  holders.sort((a, b) => rank(a.group.role) - rank(b.group.role) || b.group.term - a.group.term);
  return holders[0]?.box;
}

/** Each log in the words of the box that describes it best. */
export function groupsOf(replies: StatusReply[]): { box: string; group: GroupStatus }[] {
  const best = new Map<number, { box: string; group: GroupStatus }>();
  for (const reply of replies) {
    for (const group of reply.groups) {
      const known = best.get(group.log);
      if (!known || describesBetter(group, known.group)) best.set(group.log, { box: reply.box, group });
    }
  }
  return [...best.values()].sort((a, b) => a.group.log - b.group.log);
}

async function switchover(tools: Tools, zone: string, box: string | undefined): Promise<void> {
  const admin = await tools.admin();
  const started = performance.now();
  const reply = await admin.change("transfer", { zone, box: box ?? "" }).catch(async (error) => {
    throw box === undefined ? error : await withVoters(tools, error, { zone, box });
  });
  admin.close();
  const tookMs = Math.round(performance.now() - started);
  tools.print(`${zone}: ${reply.detail || `led by ${box ?? "another box"}`} (${tookMs} ms)`, {
    zone,
    leader: reply.detail,
    tookMs,
  });
}

async function members(tools: Tools, zone: string | undefined): Promise<void> {
  const { replies } = await allStatuses(tools);
  const groups = groupsOf(replies).filter(({ group }) => zone === undefined || group.zone === zone);
  if (groups.length === 0)
    throw new LocalError("NOT_FOUND", `zone ${zone}: no box that answers holds its log; nexus zone ls shows the zones`);
  const rows = groups.flatMap(({ group }) =>
    group.members.map((m) => [
      group.zone,
      m.box,
      m.role,
      m.box === group.leader ? "leader" : "",
      m.role === "witness" ? "" : String(m.match),
      m.role === "witness" ? "" : String(m.lag),
      m.state,
    ]),
  );
  tools.print(
    table(rows, { head: ["ZONE", "BOX", "ROLE", "", "MATCH", "LAG", "STATE"], right: [4, 5] }),
    groups.map(({ group }) => jsonGroup(group)),
  );
}

export function jsonGroup(group: GroupStatus) {
  return {
    log: group.log,
    zone: group.zone,
    generation: group.generation,
    leader: group.leader,
    term: group.term,
    mode: group.witnessMode || undefined,
    consistency: group.mode,
    commit: group.commit,
    applied: group.applied,
    configIndex: group.configIndex,
    copies: group.copies,
    members: group.members.map((m) => ({
      box: m.box,
      role: m.role,
      match: m.match,
      lag: m.lag,
      state: m.state,
      active: m.active,
      caughtUp: m.caughtUp,
    })),
  };
}

/** A box that cannot lead the zone at all is told apart from one that is only behind. */
async function withVoters(tools: Tools, error: unknown, asked: { zone: string; box: string }): Promise<unknown> {
  if (!(error instanceof NexusError) || error.code !== "PRECONDITION_FAILED") return error;
  const { replies } = await allStatuses(tools).catch(() => ({ replies: [] }));
  const group = groupsOf(replies).find((one) => one.group.zone === asked.zone)?.group;
  const voters = (group?.members ?? []).filter(({ role }) => role === "voter").map(({ box }) => box);
  if (voters.length === 0 || voters.includes(asked.box)) return error;
  const text = `box ${asked.box} cannot lead zone ${asked.zone}: its full voters are ${voters.sort().join(", ")}`;
  return new LocalError("PRECONDITION_FAILED", text, { cause: error });
}

async function zones(tools: Tools): Promise<void> {
  const { replies } = await allStatuses(tools);
  const newest = replies.reduce((a, b) => (b.epoch > a.epoch ? b : a));
  const leaders = new Map(groupsOf(replies).map(({ group }) => [group.zone, group]));
  const rules = (newest.map?.rules ?? []).map((rule) => ({
    zone: rule.zone,
    path: rule.pattern,
    mode: rule.mode,
    state: rule.state,
    epoch: newest.epoch,
    leader: leaders.get(rule.zone)?.leader ?? "",
    ready: readyOf(rule, { group: leaders.get(rule.zone), pending: newest.pending }),
  }));
  tools.print(
    table(
      rules.map((rule) => [
        rule.zone,
        rule.path,
        rule.mode,
        rule.state,
        String(rule.epoch),
        rule.leader,
        rule.ready ? "ready" : "not ready",
      ]),
      { head: ["ZONE", "PATH", "MODE", "STATE", "EPOCH", "LEADER", "READY"] },
    ),
    rules,
  );
}

/** Led, and of the mode that it is meant to have: a zone whose mode changes refuses some requests meanwhile. */
export function readyOf(rule: ZoneRule, at: { group: GroupStatus | undefined; pending: RuleMap | undefined }): boolean {
  const { group, pending } = at;
  if (rule.state !== "active" || !group?.leader) return false;
  const next = pending?.rules.find((each) => each.zone === rule.zone);
  return (group.mode === "" || group.mode === rule.mode) && (next === undefined || next.mode === rule.mode);
}

async function destroy(tools: Tools, zone: string, flags: { confirm: string; lost?: string }): Promise<void> {
  checkConfirmed("zone", zone, flags.confirm);
  if (flags.lost !== undefined) await checkRetired(tools, zone);
  const admin = await tools.admin();
  const abandoned = flags.lost === undefined ? [] : await disksOf(admin, flags.lost.split(","));
  await admin.change("destroyZone", { zone, confirm: flags.confirm, abandoned });
  admin.close();
  tools.print(`${zone}: destroyed`, { zone, destroyed: true });
}

/** A zone that is declared here would be made anew, empty, as soon as it is gone. */
async function checkRetired(tools: Tools, zone: string): Promise<void> {
  const { dir } = findContext(tools.options).context;
  if (dir === undefined) return;
  const status = await callSupervisor(new Folder(dir), { verb: "status" }).catch(() => undefined);
  const installed = status?.conditions[`ConsensusZone/${zone}`]?.find(({ type }) => type === "Installed");
  if (installed === undefined || installed.reason === "Detaching" || installed.reason === "Retired") return;
  const text = `zone ${zone} is declared and would be made anew, empty: take its resource away first (nexus delete -f)`;
  throw new LocalError("PRECONDITION_FAILED", text);
}

/** The disks that the boxes were registered with. */
async function disksOf(admin: NexusAdmin, names: string[]): Promise<Buffer[]> {
  const { boxes: known } = await admin.status();
  return names.map((name) => {
    const box = known.find((one) => one.name === name.trim());
    if (box === undefined) throw new LocalError("NOT_FOUND", `no box "${name.trim()}" is registered`);
    return box.incarnation;
  });
}

export async function boxes(tools: Tools): Promise<void> {
  const { replies } = await allStatuses(tools);
  const newest = replies.reduce((a, b) => (b.epoch > a.epoch ? b : a));
  const declared = await declaredHere(tools);
  const rows = newest.boxes.map((box) => ({
    name: box.name,
    role: box.role,
    region: box.region,
    incarnation: hexOf(box.incarnation),
    peer: box.peerEndpoint,
    client: box.clientEndpoint,
    answers: replies.some((reply) => reply.box === box.name),
    state: stateOf(box.name, { replies, declared, role: box.role }),
  }));
  tools.print(
    table(
      rows.map((row) => [row.name, row.role, row.region, row.state, row.incarnation.slice(0, 8), row.peer, row.client]),
      { head: ["NAME", "ROLE", "REGION", "STATE", "INCARNATION", "PEER", "CLIENT"] },
    ),
    rows,
  );
}

/** Boxes that the supervisor of this machine runs by name, with their state; undefined when the federation runs elsewhere. */
export async function declaredHere(tools: Tools): Promise<ReadonlyMap<string, string> | undefined> {
  const { dir } = findContext(tools.options).context;
  if (dir === undefined) return undefined;
  const status = await callSupervisor(new Folder(dir), { verb: "status" }).catch(() => undefined);
  return status && new Map(status.boxes.map((box) => [box.name, box.state]));
}

/** A box that the federation knows still, and nobody declares any more, is removed. */
function stateOf(
  name: string,
  seen: { replies: readonly StatusReply[]; declared: ReadonlyMap<string, string> | undefined; role: string },
): string {
  const { replies, declared, role } = seen;
  if (declared) return declared.get(name) ?? "removed";
  const reply = replies.find((each) => each.box === name);
  return reply?.state ?? (role === "Witness" ? "-" : "no answer");
}
