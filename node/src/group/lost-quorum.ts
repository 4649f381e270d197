import { GroupConfig } from "@nexus-federation/proto/raft.ts";
import type { LogMember, RecoveryRecord } from "@nexus-federation/proto/records.ts";
import { equalBytes, hexOf, noBytes } from "../base/bytes.ts";
import { delay } from "../base/clock.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import type { LogWrite } from "../log/records.ts";
import type { RecoveredGroup } from "../log/replay.ts";
import type { Entry } from "../raft/types.ts";
import type { RecoveryCall } from "./api.ts";
import { emptyConfig } from "./config.ts";
import { bannedMax } from "./config-bytes.ts";
import type { HostCore } from "./core.ts";
import { EntryKind } from "./entry.ts";
import type { Replica } from "./replica.ts";
import type { WitnessClient } from "./witness-client.ts";

/** Time in which streams to members that are alive come up, and those to others are found broken, ms. */
const lookMs = 2_000;
/** Waiting for writes under way to end, and pause between two looks, ms. */
const stillMs = 5_000;
const pauseMs = 20;
/** Entries in one write of the log, bytes. */
const writeBytes = 1 << 20;

/** What becomes of the log on this box, in its next generation. */
export interface NextGeneration {
  group: RecoveredGroup;
  writes: LogWrite[];
}

export interface LostQuorumHooks {
  /** Takes the replica's place; answers when that is durable. */
  succeed(replica: Replica, next: NextGeneration): Promise<void>;
}

/**
 * The only way on without a quorum. The problem: with the majority gone for good, nobody can say what it acknowledged
 * last. Why not let the rest elect: a majority that was only cut off would go on too, and two histories would bear the
 * same revisions. The sketch: somebody attests that the others are destroyed; one full member takes everything that is
 * in its log as committed and becomes the only voter of a new generation, which leads every revision, token and fence.
 * Changes of members that stand in the log and were not applied are dropped; the incarnations given up are banned.
 */
export class LostQuorum {
  readonly #core: HostCore;
  readonly #witnesses: WitnessClient;
  readonly #hooks: LostQuorumHooks;
  readonly #underWay = new Set<number>();

  constructor(core: HostCore, witnesses: WitnessClient, hooks: LostQuorumHooks) {
    this.#core = core;
    this.#witnesses = witnesses;
    this.#hooks = hooks;
  }

  async recover(call: RecoveryCall): Promise<RecoveryRecord | Refusal> {
    if (this.#underWay.has(call.log)) return fail(`A recovery of log ${call.log} is under way.`);
    this.#underWay.add(call.log);
    try {
      return await this.#recover(call);
    } finally {
      this.#underWay.delete(call.log);
    }
  }

  async #recover(call: RecoveryCall): Promise<RecoveryRecord | Refusal> {
    const { self, needs } = this.#core;
    const found = this.#core.replicas.get(call.log);
    if (found === undefined) return fail(`Box ${self.box} has no copy of log ${call.log}.`);
    const done = found.config.recovery;
    if (done !== undefined && done.epoch === call.epoch && done.fromBox === self.box) return done;
    const refused = refusalOf(found, call, self.incarnation);
    if (refused !== undefined) return refused;
    await delay(needs.clock, lookMs);
    const alive = this.#answering(call);
    if (alive !== undefined) return fail(alive);
    const kept = await this.#giveUpRecords(found, call);
    if (kept !== undefined) return fail(kept);
    const replica = await this.#still(call.log);
    if ("code" in replica) return replica;
    const changed = refusalOf(replica, call, self.incarnation);
    if (changed !== undefined) return changed;
    const record = recordOf(replica, call, self.box);
    await this.#hooks.succeed(replica, nextGeneration(replica, record));
    needs.logger?.warning?.(
      `log ${call.log}: goes on from entry ${record.lastIndex} in generation ${replica.generation + 1} without its quorum`,
    );
    return record;
  }

  /** Which of the incarnations given up is alive, as a sentence. */
  #answering({ abandoned }: RecoveryCall): string | undefined {
    for (const [box, incarnation] of this.#core.links) {
      if (abandoned.some((one) => equalBytes(one, incarnation))) return answers(box, incarnation);
    }
    return undefined;
  }

  /**
   * A witness serves other logs too: that it is up does not speak against giving up its record of this one, which a
   * leader that is lost for good may have engaged. It destroys that record; a witness that is gone has none.
   */
  async #giveUpRecords(replica: Replica, { abandoned }: RecoveryCall): Promise<string | undefined> {
    for (const member of replica.config.members) {
      if (member.role !== "witness" || !abandoned.some((one) => equalBytes(one, member.incarnation))) continue;
      if (!this.#core.needs.network.isUp("witness", member.box)) continue;
      if (!(await this.#witnesses.forget(member, replica))) {
        return `Witness ${member.box} did not confirm that its record of this log is destroyed; try again.`;
      }
    }
    return undefined;
  }

  /** The replica, at a moment when nothing of it is on its way to the disk. */
  async #still(log: number): Promise<Replica | Refusal> {
    const { needs, replicas } = this.#core;
    const untilMs = needs.clock.now() + stillMs;
    for (;;) {
      const replica = replicas.get(log);
      if (replica === undefined) return fail(`Log ${log} was removed from this box.`);
      if (replica.inFlight === 0 && !replica.installing) return replica;
      if (needs.clock.now() > untilMs) return fail(`The disk of this box does not answer; log ${log} waits for it.`);
      await delay(needs.clock, pauseMs);
    }
  }
}

function fail(text: string): Refusal {
  return refuse("PRECONDITION_FAILED", text);
}

function answers(box: string, incarnation: Uint8Array): string {
  return `Box ${box} answers with incarnation ${hexOf(incarnation)}, which is said to be gone: stop it and destroy its disk first, or do without a recovery.`;
}

function refusalOf(replica: Replica, call: RecoveryCall, self: Uint8Array): Refusal | undefined {
  const { config, log } = replica;
  const { epoch, abandoned } = call;
  if (!call.acceptDataLoss)
    return refuse("INVALID", "acceptDataLoss: must be true, since acknowledged writes may be lost.");
  if (replica.mute) return fail(`The copy of log ${log} on this box is damaged itself; recover from another one.`);
  if (config.recovery !== undefined && epoch <= config.recovery.epoch) {
    return fail(`Recovery ${config.recovery.epoch} of log ${log} was executed; each epoch is executed once, raise it.`);
  }
  if (epoch < 1) return refuse("INVALID", `epoch: 1 or more is expected, ${epoch} came.`);
  if (abandoned.some((one) => one.length !== 16)) return refuse("INVALID", "abandoned: incarnations have 16 bytes.");
  if (config.banned.length + abandoned.length > bannedMax) {
    return fail(
      `Log ${log} has banned ${config.banned.length} incarnations, at most ${bannedMax} are kept; move its zone to a new log.`,
    );
  }
  if (abandoned.some((one) => equalBytes(one, self))) return refuse("INVALID", "abandoned: names this box's own disk.");
  const stays = (member: LogMember) => !abandoned.some((one) => equalBytes(one, member.incarnation));
  const left = new Set(config.members.filter(stays).map((member) => member.replica));
  for (const half of [config.voters, config.votersOutgoing]) {
    if (half.length > 0 && 2 * half.filter((id) => left.has(id)).length <= half.length) return undefined;
  }
  return fail("Without the abandoned members the log still has its quorum; change its members instead.");
}

function recordOf(replica: Replica, call: RecoveryCall, box: string): RecoveryRecord {
  return {
    epoch: call.epoch,
    fromBox: box,
    commitIndex: replica.node.raft.log.committed,
    lastIndex: replica.storage.lastIndex(),
    abandoned: call.abandoned.map((one) => Buffer.from(one)),
  };
}

function nextGeneration(replica: Replica, recovery: RecoveryRecord): NextGeneration {
  const { log, storage } = replica;
  const generation = replica.generation + 1;
  const conf = GroupConfig.encode(alone(replica, recovery)).finish();
  const first = storage.firstIndex();
  const [term, epoch] = [storage.term(first - 1) ?? 0, storage.epoch(first - 1) ?? 0];
  const snapshotMeta = { index: first - 1, term, epoch, conf };
  const kept = storage.entries(first, storage.lastIndex() + 1, Number.MAX_SAFE_INTEGER);
  const entries = kept === "compacted" ? [] : kept.map(withoutMembers);
  const hardState = { term: replica.node.raft.term, vote: 0, commit: recovery.commitIndex };
  const group = { group: log, generation, hardState, snapshotMeta, entries };
  return { group, writes: writesOf(group) };
}

/** This replica as the only member; whoever is called next gets a replica id that was never used. */
function alone({ config, id }: Replica, recovery: RecoveryRecord): GroupConfig {
  const { members, nextReplica, configIndex, banned, zone, timing, federationUid } = config;
  const own = members.filter((member) => member.replica === id).map((member) => ({ ...member, role: "voter" }));
  const more = recovery.abandoned.filter((one) => !banned.some((known) => equalBytes(known, one)));
  const kept = { members: own, nextReplica, configIndex, zone, timing, federationUid };
  return { ...emptyConfig(), ...kept, voters: [id], banned: [...banned, ...more], recovery };
}

/** A change of members that was not applied before is not one afterwards. */
function withoutMembers(entry: Entry): Entry {
  const changes = entry.type === "EntryConfChange" || entry.type === "EntryConfChangeV2";
  if (!changes && entry.data[0] !== EntryKind.target) return entry;
  return { ...entry, type: "EntryNormal", data: noBytes };
}

function writesOf({ group, generation, hardState, snapshotMeta, entries }: RecoveredGroup): LogWrite[] {
  const writes: LogWrite[] = [{ group, generation, reset: true, hardState, snapshotMeta: snapshotMeta! }];
  let piece: Entry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    piece.push(entry);
    bytes += entry.data.length;
    if (bytes < writeBytes && entry !== entries.at(-1)) continue;
    writes.push({ group, generation, entries: piece });
    piece = [];
    bytes = 0;
  }
  return writes;
}
