import { BootstrapRecord } from "@nexus-federation/proto/raft.ts";
import type { LogMember } from "@nexus-federation/proto/records.ts";
import { utf8 } from "../base/bytes.ts";
import { messageOf, type Refusal, refuse } from "../base/errors.ts";
import { isGroup } from "../log/group-index.ts";
import { message } from "../raft/messages.ts";
import type { Remote } from "../transport/ports.ts";
import type { BootstrapCall } from "./api.ts";
import { declaredMax } from "./config-bytes.ts";
import { type HostCore, isSelf } from "./core.ts";
import { recordsGroup } from "./records.ts";
import { type Timing, timingOf } from "./settings.ts";
import type { HostMessageType, WireMessage } from "./wire.ts";
import { WireError } from "./wire-bytes.ts";
import type { WitnessClient } from "./witness-client.ts";

interface Telling {
  record: BootstrapRecord;
  /** Boxes that have not answered. */
  open: Set<string>;
  /** First refusal of a member. */
  refusal: Refusal | undefined;
  nextMs: number;
  deadlineMs: number;
  resolve: (refusal: Refusal | undefined) => void;
}

export interface BootstrapHooks {
  /** Makes the replica of a log that begins; durable, with the record, when `done` is called. */
  begin(record: BootstrapRecord, initiated: boolean, done: () => void): void;
  /** Everybody knows: the record no longer has to be told. */
  told(log: number): void;
}

/**
 * The beginning of a log, exactly once. One initiator names all members with their incarnations, records that it did
 * so before it tells anybody, and tells until each has answered; a member takes it only if it never knew the log, and
 * the incarnation named is its own. So no wiped or mistaken box can found the log a second time.
 */
export class Bootstraps {
  readonly #core: HostCore;
  readonly #witnesses: WitnessClient;
  readonly #hooks: BootstrapHooks;
  readonly #telling = new Map<number, Telling>();
  /** Logs whose bootstrap is between its call and its durable record. */
  readonly #starting = new Set<number>();

  constructor(core: HostCore, witnesses: WitnessClient, hooks: BootstrapHooks) {
    this.#core = core;
    this.#witnesses = witnesses;
    this.#hooks = hooks;
  }

  async start(call: BootstrapCall): Promise<Refusal | undefined> {
    const known = this.#core.records.get(call.log);
    const telling = this.#telling.get(call.log);
    if (known !== undefined && known.federationUid === call.federationUid && telling !== undefined) {
      return new Promise((resolve) => this.#alsoTell(telling, resolve));
    }
    if (known !== undefined && !known.removed && known.federationUid === call.federationUid) return undefined;
    const refusal = this.#refusal(call);
    if (refusal !== undefined) return refusal;
    this.#starting.add(call.log);
    const members = await this.#joinWitnesses(call);
    if ("code" in members) {
      this.#starting.delete(call.log);
      return members;
    }
    const { log, zone, federationUid, generation, timing } = call;
    const record: BootstrapRecord = { log, zone, federationUid, generation, timing, members };
    return new Promise((resolve) => {
      this.#hooks.begin(record, true, () => {
        this.#starting.delete(log);
        this.resume(record, resolve);
      });
    });
  }

  #refusal(call: BootstrapCall): Refusal | undefined {
    const { log, members, timing } = call;
    if (this.#core.records.get(log) !== undefined || this.#starting.has(log)) {
      return refuse("ALREADY_EXISTS", `Log ${log} is or was known to this box and cannot be bootstrapped again.`);
    }
    const profile = timingOf(timing);
    if ("code" in profile) return profile;
    const problem = foundersProblem(members);
    if (problem !== undefined) return refuse("INVALID", problem);
    if (!members.some((member) => member.role !== "witness" && isSelf(this.#core.self, member))) {
      return refuse("INVALID", "The box that bootstraps a log must be one of its full members.");
    }
    return undefined;
  }

  async #joinWitnesses(call: BootstrapCall): Promise<BootstrapRecord["members"] | Refusal> {
    const members: BootstrapRecord["members"] = [];
    for (const member of call.members) {
      if (member.role !== "witness" || member.incarnation.length > 0) {
        members.push(member);
        continue;
      }
      const drawn = await this.#witnesses.join(member.box, { log: call.log, generation: call.generation, members: [] });
      if ("code" in drawn) return drawn;
      members.push({ ...member, incarnation: drawn });
    }
    return members;
  }

  /** Tells the others, now and after a restart. */
  resume(record: BootstrapRecord, resolve: (refusal: Refusal | undefined) => void): void {
    const { self, needs, settings } = this.#core;
    const open = new Set<string>();
    for (const { box, role } of record.members) if (role !== "witness" && box !== self.box) open.add(box);
    const deadlineMs = needs.clock.now() + settings.bootstrapTimeoutMs;
    this.#telling.set(record.log, { record, open, refusal: undefined, nextMs: 0, deadlineMs, resolve });
    this.tick(needs.clock.now());
  }

  tick(nowMs: number): void {
    for (const telling of this.#telling.values()) {
      this.#finish(telling);
      if (nowMs >= telling.deadlineMs) {
        const boxes = [...telling.open].join(", ");
        telling.resolve(refuse("ZONE_UNAVAILABLE", `Not yet told of the log: ${boxes}. It is told until they answer.`));
        telling.resolve = () => {};
        telling.deadlineMs = Number.POSITIVE_INFINITY;
      }
      if (nowMs < telling.nextMs) continue;
      telling.nextMs = nowMs + this.#core.settings.bootstrapRetryMs;
      for (const box of telling.open) {
        this.#send(box, { ...telling.record, host: "HostBootstrap", context: encoded(telling.record) });
      }
    }
  }

  #finish(telling: Telling): void {
    if (telling.open.size > 0) return;
    this.#telling.delete(telling.record.log);
    this.#hooks.told(telling.record.log);
    telling.resolve(telling.refusal);
  }

  #alsoTell(telling: Telling, resolve: (refusal: Refusal | undefined) => void): void {
    const first = telling.resolve;
    telling.deadlineMs = this.#core.needs.clock.now() + this.#core.settings.bootstrapTimeoutMs;
    telling.resolve = (refusal) => {
      first(refusal);
      resolve(refusal);
    };
  }

  /** Another box bootstraps a log and says that this one is a member. */
  receive(from: Remote, wire: WireMessage): void {
    const record = recordOf(wire);
    const answer = (reason: string) =>
      this.#send(from.box, { ...record, host: "HostBootstrapResp", context: utf8(reason), reject: reason !== "" });
    const { records, settings, self } = this.#core;
    const known = records.get(record.log);
    if (known !== undefined) {
      const same = known.federationUid === record.federationUid && known.generation === record.generation;
      answer(same && !known.removed ? "" : `log ${record.log} was known to box ${self.box} before`);
      return;
    }
    if (this.#starting.has(record.log)) return;
    if (!record.members.some((member) => member.role !== "witness" && isSelf(self, member))) {
      answer(`box ${self.box} has another incarnation than the one named`);
      return;
    }
    if (this.#core.replicas.size >= settings.logsMax) {
      answer(`box ${self.box} holds ${settings.logsMax} logs already`);
      return;
    }
    this.#starting.add(record.log);
    this.#hooks.begin(record, false, () => {
      this.#starting.delete(record.log);
      answer("");
    });
  }

  receiveAnswer(from: Remote, wire: WireMessage): void {
    const telling = this.#telling.get(wire.log);
    if (telling === undefined || !telling.open.delete(from.box)) return;
    if (wire.message.reject) {
      const reason = Buffer.from(wire.message.context).toString("utf8");
      telling.refusal ??= refuse("PRECONDITION_FAILED", `Box ${from.box} did not take the log: ${reason}.`);
    }
    this.#finish(telling);
  }

  #send(
    box: string,
    what: { log: number; generation: number; host: HostMessageType; context: Uint8Array; reject?: boolean },
  ): void {
    const m = message("MsgHup", 0);
    m.context = what.context;
    m.reject = what.reject ?? false;
    const { log, generation, host } = what;
    this.#core.outbox.add(box, { log, generation, host, message: m });
    this.#core.turns.schedule();
  }
}

/** Why a log cannot begin with these members, as a sentence. */
function foundersProblem(members: readonly LogMember[]): string | undefined {
  if (members.length > declaredMax) return `A log has at most ${declaredMax} members, not ${members.length}.`;
  const ids = new Set(members.map((member) => member.replica));
  if (ids.size !== members.length || ids.has(0)) return "Members need replica ids of their own.";
  const count = (role: string) => members.filter((member) => member.role === role).length;
  const [voters, witnesses] = [count("voter"), count("witness")];
  if (voters === 0) return "A log needs at least one full voter.";
  if (witnesses > 1 || (witnesses === 1 && voters !== 2)) {
    return "A witness stands, alone, beside exactly two full members.";
  }
  return undefined;
}

function encoded(record: BootstrapRecord): Uint8Array {
  return BootstrapRecord.encode(record).finish();
}

function recordOf(wire: WireMessage): BootstrapRecord {
  let record: BootstrapRecord;
  try {
    record = BootstrapRecord.decode(wire.message.context);
  } catch (error) {
    throw new WireError(`the record of a log that begins cannot be read: ${messageOf(error)}`);
  }
  const { log, generation, members, timing } = record;
  if (log === recordsGroup || !isGroup(log, generation)) throw new WireError(`there is no log ${log}/${generation}`);
  const problem = foundersProblem(members) ?? textOf(timingOf(timing));
  if (problem !== undefined) throw new WireError(`log ${log} cannot begin: ${problem}`);
  return record;
}

function textOf(timing: Timing | Refusal): string | undefined {
  return "code" in timing ? timing.message : undefined;
}
