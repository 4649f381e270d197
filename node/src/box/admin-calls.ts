import type {
  AdminReply,
  BootstrapRequest,
  DestroyZoneRequest,
  DisruptionRequest,
  EnsureZoneRequest,
  InstallRulesRequest,
  ProposeMembershipRequest,
  RegisterBoxRequest,
  RemoveBoxRequest,
  SetPolicyRequest,
  TransferRequest,
} from "@nexus-federation/proto/admin.ts";
import { BootstrapRecord, type DeclaredReplica } from "@nexus-federation/proto/raft.ts";
import { type BoxRecord, LogRecord, type ZoneRule } from "@nexus-federation/proto/records.ts";
import { equalBytes, hexOf } from "../base/bytes.ts";
import { type Clock, delay, type Random } from "../base/clock.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import type { Groups } from "../group/api.ts";
import { systemLog, systemZone } from "../tree/system-zone.ts";
import { boxFor, doneReply, firstMembers, refusedReply, replyOf } from "./admin-replies.ts";
import type { BoxDisk } from "./admin-status.ts";
import type { Ask } from "./ask.ts";
import type { BoxIdentity } from "./box.ts";
import { type DestroyedZones, dropReplica } from "./destroyed-zones.ts";
import type { Directory } from "./directory.ts";
import type { Handover } from "./handover.ts";
import { giveUpZone } from "./lost-zone.ts";
import type { Forward, SystemSource } from "./ports.ts";
import { memberOutside } from "./residency.ts";
import { systemCommand } from "./system-client.ts";
import { tellBox } from "./tell.ts";

/** How long a call waits for a leader of a log that it has just made, ms. */
const leaderWaitMs = 10_000;
const leaderLookMs = 20;

export interface AdminCallNeeds {
  identity: BoxIdentity;
  disk: BoxDisk;
  ask: Ask;
  forward: Forward;
  groups: Groups;
  source: SystemSource;
  directory: Directory;
  handover: Handover;
  destroyed: DestroyedZones;
  clock: Clock;
  random: Random;
  /** Connects to boxes that no map names yet. */
  meet(boxes: readonly BoxRecord[]): void;
}

/** The admin calls where they are executed: at the box that leads the log they concern. */
export class AdminCalls {
  readonly #needs: AdminCallNeeds;

  constructor(needs: AdminCallNeeds) {
    this.#needs = needs;
  }

  // On the box that founds the federation.

  async bootstrap(request: BootstrapRequest): Promise<AdminReply> {
    const { identity, disk, groups, random } = this.#needs;
    if (request.federation !== identity.federation) {
      return refusedReply(
        refuse("INVALID", `this box belongs to federation ${identity.federation}, ${request.federation} came`),
      );
    }
    const own = request.boxes.find((box) => box.name === identity.box);
    if (own === undefined || !equalBytes(own.incarnation, disk.incarnation)) {
      return refusedReply(refuse("INVALID", `boxes: ${identity.box} has incarnation ${hexOf(disk.incarnation)}`));
    }
    // It has heard of the system zone that there is, wherever that lies now.
    if (groups.view(systemLog) === undefined && this.#needs.directory.revision > 0) {
      const text = `box ${identity.box} belongs to a federation that was founded; a second system zone is never made beside the first`;
      return refusedReply(refuse("ALREADY_EXISTS", text));
    }
    const members = firstMembers(request.members, request.boxes);
    if (isRefusal(members)) return refusedReply(members);
    this.#needs.meet(request.boxes);
    const federationUid = disk.federationUid() || hexOf(random.bytes(16));
    await disk.join(federationUid);
    const { timing } = request;
    const refused = await groups.bootstrap({
      log: systemLog,
      zone: systemZone,
      federationUid,
      generation: 1,
      timing,
      members,
    });
    if (refused !== undefined) return refusedReply(refused);
    const leaderless = await this.#waitForLeader(systemLog);
    if (leaderless !== undefined) return refusedReply(leaderless);
    for (const box of request.boxes) {
      const registered = await systemCommand(this.#needs.ask, { $case: "registerBox", value: { box, federationUid } });
      if (isRefusal(registered)) return refusedReply(registered);
    }
    return doneReply({ log: systemLog, detail: federationUid });
  }

  async #waitForLeader(log: number): Promise<Refusal | undefined> {
    const { clock, groups } = this.#needs;
    const untilMs = clock.now() + leaderWaitMs;
    while (clock.now() < untilMs) {
      if ((groups.view(log)?.leaderBox ?? "") !== "") return undefined;
      await delay(clock, leaderLookMs);
    }
    return refuse("NO_LEADER", `log ${log} has no leader yet; call again`);
  }

  // At the leader of the system zone.

  async registerBox(request: RegisterBoxRequest): Promise<AdminReply> {
    const system = this.#needs.source.system();
    if (system === undefined || request.box === undefined) return refusedReply(noSystem());
    // A recovery of the system zone itself is known to its own log only.
    const banned = this.#needs.groups.view(systemLog)?.config.banned ?? [];
    if (banned.some((one) => equalBytes(one, request.box?.incarnation ?? one))) {
      return refusedReply(refuse("DENIED", `box ${request.box.name} was given up by a recovery; wipe its disk`));
    }
    const value = { box: request.box, federationUid: system.federationUid };
    const reply = await systemCommand(this.#needs.ask, { $case: "registerBox", value });
    return isRefusal(reply) ? refusedReply(reply) : doneReply();
  }

  /** Unless it may, its disk never returns under this or another name. */
  async removeBox({ box: name, incarnation, mayReturn }: RemoveBoxRequest): Promise<AdminReply> {
    const system = this.#needs.source.system();
    if (system === undefined) return refusedReply(noSystem());
    // The system zone's own members stand in its log, not in its tables.
    const members = this.#needs.groups.view(systemLog)?.config.members ?? [];
    if (members.some((member) => member.box === name)) {
      const text = `box ${name} is a member of zone ${systemZone}; change that zone's members first`;
      return refusedReply(refuse("ZONE_IN_USE", text));
    }
    if (mayReturn && !system.boxes().some((box) => box.name === name)) return doneReply();
    const value = { name, incarnation, mayReturn };
    const reply = await systemCommand(this.#needs.ask, { $case: "removeBox", value });
    return isRefusal(reply) ? refusedReply(reply) : doneReply();
  }

  async ensureZone(request: EnsureZoneRequest): Promise<AdminReply> {
    const system = this.#needs.source.system();
    if (system === undefined) return refusedReply(noSystem());
    const outside = memberOutside(request.rule, request.members, system.boxes());
    if (outside !== undefined) return refusedReply(outside);
    const known = system.logOfZone(request.zone);
    if (known?.restoring) return refusedReply(beingRestored(request.zone));
    const record = known ?? (await this.#createLog(request));
    if (isRefusal(record)) return refusedReply(record);
    // A log that has reported its members has begun; telling it to begin again would be refused there anyway.
    const refused = record.configIndex === 0 ? await this.#startLog(record) : undefined;
    return replyOf(refused, { log: record.log });
  }

  /** A zone for a restore to fill. One that an earlier restore left unfinished is deleted first. */
  async stageZone(request: EnsureZoneRequest): Promise<AdminReply> {
    const { zone, rule, members } = request;
    const system = this.#needs.source.system();
    if (system === undefined) return refusedReply(noSystem());
    const outside = memberOutside(rule, members, system.boxes());
    if (outside !== undefined) return refusedReply(outside);
    const known = system.logOfZone(zone);
    if (known !== undefined && !known.restoring)
      return refusedReply(refuse("ALREADY_EXISTS", `zone ${zone} exists; restore under a new name`));
    const cleared = known === undefined ? doneReply() : await this.destroyZone({ zone, confirm: zone, abandoned: [] });
    if (cleared.failure !== undefined) return cleared;
    const record = await this.#createLog(request, true);
    if (isRefusal(record)) return refusedReply(record);
    return replyOf(await this.#startLog(record), { log: record.log });
  }

  async #createLog(request: EnsureZoneRequest, restoring?: true): Promise<LogRecord | Refusal> {
    const system = this.#needs.source.system();
    if (system === undefined) return noSystem();
    const members = firstMembers(request.members, system.boxes());
    if (isRefusal(members)) return members;
    const { zone, timing, group } = request;
    const log = { ...LogRecord.decode(new Uint8Array(0)), zone, members, timing, group, restoring };
    const created = await systemCommand(this.#needs.ask, { $case: "createLog", value: { log } });
    if (isRefusal(created)) return created;
    return system.logOfZone(zone) ?? refuse("NO_LEADER", `zone ${zone} is created, but not seen here yet; call again`);
  }

  /** The first voter of the record is the one initiator, however often this is called. */
  #startLog(record: LogRecord): Promise<Refusal | undefined> {
    const { source, disk } = this.#needs;
    const initiator = record.members.find((member) => member.role === "voter");
    if (initiator === undefined) {
      return Promise.resolve(refuse("INTERNAL", `log ${record.log} has no voter in its record`));
    }
    const { log, zone, generation, timing, members } = record;
    const federationUid = source.system()?.federationUid || disk.federationUid();
    const begin: BootstrapRecord = { log, zone, generation, timing, members, federationUid };
    const { identity, forward } = this.#needs;
    if (initiator.box === identity.box) return this.startZone(begin);
    const call = { method: "startZone", body: BootstrapRecord.encode(begin).finish() };
    return tellBox({ self: identity.box, forward }, initiator.box, call);
  }

  /** On the initiator. */
  async startZone(begin: BootstrapRecord): Promise<Refusal | undefined> {
    const { disk, groups } = this.#needs;
    if (disk.federationUid() === "") await disk.join(begin.federationUid);
    return groups.bootstrap(begin);
  }

  /** On a member of a destroyed zone. */
  dropZone(record: LogRecord): Promise<Refusal | undefined> {
    return dropReplica(this.#needs.groups, record);
  }

  async installRules(request: InstallRulesRequest): Promise<AdminReply> {
    const unfinished = request.rules.find((rule) => this.#recordOf(rule)?.restoring);
    return unfinished === undefined ? this.installRestored(request) : refusedReply(beingRestored(unfinished.zone));
  }

  #recordOf(rule: ZoneRule): LogRecord | undefined {
    return this.#needs.source.system()?.logOfZone(rule.zone);
  }

  /** The same for the end of a restore, which has proved what it filled. */
  async installRestored(request: InstallRulesRequest): Promise<AdminReply> {
    const boxes = this.#needs.source.system()?.boxes() ?? [];
    for (const rule of request.rules) {
      const outside = memberOutside(rule, this.#recordOf(rule)?.members ?? [], boxes);
      if (outside !== undefined) return refusedReply(outside);
    }
    const epoch = await this.#needs.handover.install(request.expectedEpoch, request.rules);
    return isRefusal(epoch) ? refusedReply(epoch) : doneReply({ epoch });
  }

  /** The zone's rule with another mode, lock policy or preference; what it binds stays. */
  async setPolicy(request: SetPolicyRequest): Promise<AdminReply> {
    const map = this.#needs.source.system()?.ruleMap();
    const wanted = request.rule;
    if (map === undefined || wanted === undefined) return refusedReply(noSystem());
    const before = map.rules.find((rule) => rule.zone === request.zone);
    if (before === undefined) return refusedReply(refuse("NO_ZONE", `no rule binds zone ${request.zone}`));
    const { zone, pattern, log, generation, members, state } = before;
    const rule = { ...wanted, zone, pattern, log, generation, members, state };
    const rules = map.rules.map((one) => (one.zone === zone ? rule : one));
    return this.installRules({ expectedEpoch: map.epoch, rules });
  }

  async destroyZone(request: DestroyZoneRequest): Promise<AdminReply> {
    const system = this.#needs.source.system();
    if (system === undefined) return refusedReply(noSystem());
    if (request.confirm !== request.zone) {
      return refusedReply(refuse("INVALID", `confirm: repeat the zone's name, ${request.zone}, to destroy its data`));
    }
    const record = system.logOfZone(request.zone);
    if (record === undefined) return refusedReply(refuse("NOT_FOUND", `no zone is named ${request.zone}`));
    if (request.abandoned.length > 0) {
      const { identity, ask, disk, forward, source, handover } = this.#needs;
      const needs = { self: identity.box, ask, disk, forward, source, handover };
      const held = await giveUpZone(needs, record, request.abandoned);
      if (held !== undefined) return refusedReply(held);
    }
    const value = { zone: request.zone, log: record.log };
    const destroyed = await systemCommand(this.#needs.ask, { $case: "destroyZone", value });
    if (isRefusal(destroyed)) return refusedReply(destroyed);
    const { destroyed: drops } = this.#needs;
    const [open] = await Promise.all([drops.drop(record), drops.dropLeftovers(record)]);
    return doneReply({ log: record.log, detail: open.join("; ") });
  }

  async disruption(request: DisruptionRequest): Promise<AdminReply> {
    const { box, holder, ttlMs, release } = request;
    const reply = release
      ? await systemCommand(this.#needs.ask, { $case: "releaseDisruption", value: { box, holder } })
      : await systemCommand(this.#needs.ask, { $case: "acquireDisruption", value: { box, holder, ttlMs } });
    return isRefusal(reply) ? refusedReply(reply) : doneReply();
  }

  // At the leader of the zone.

  async proposeMembership(request: ProposeMembershipRequest): Promise<AdminReply> {
    const { groups, directory } = this.#needs;
    const rule = directory.zone(request.zone);
    if (isRefusal(rule)) return refusedReply(rule);
    const outside = memberOutside(rule, request.members, directory.boxes);
    if (outside !== undefined) return refusedReply(outside);
    const members: DeclaredReplica[] = [];
    for (const declared of request.members) {
      const record = boxFor(declared, directory.boxes);
      if (isRefusal(record)) return refusedReply(record);
      const incarnation = declared.role === "witness" ? Buffer.alloc(0) : record.incarnation;
      members.push({ box: declared.box, role: declared.role, incarnation });
    }
    const { revision, hash } = request;
    const expectedConfigIndex = request.expectedConfigIndex || undefined;
    const refused = await groups.proposeMembership(rule.log, { revision, hash, members, expectedConfigIndex });
    const configIndex = groups.view(rule.log)?.config.configIndex ?? 0;
    return replyOf(refused, { log: rule.log, configIndex });
  }

  async transfer(request: TransferRequest): Promise<AdminReply> {
    const { groups, directory } = this.#needs;
    const rule = directory.zone(request.zone);
    if (isRefusal(rule)) return refusedReply(rule);
    const refused = await groups.transfer(rule.log, request.box || undefined);
    return replyOf(refused, { log: rule.log, detail: groups.view(rule.log)?.leaderBox ?? "" });
  }
}

function beingRestored(zone: string): Refusal {
  const text = `zone ${zone} is being restored; wait for its end, or destroy it when its restore was given up`;
  return refuse("ZONE_IN_USE", text, { details: { rule: zone } });
}
function noSystem(): Refusal {
  return refuse("NO_LEADER", "this box does not know the system zone's state; call again");
}
