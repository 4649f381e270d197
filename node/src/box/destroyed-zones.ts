import { LogRecord } from "@nexus-federation/proto/records.ts";
import { equalBytes } from "../base/bytes.ts";
import { type Clock, every, type Timer } from "../base/clock.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import type { Groups } from "../group/api.ts";
import { systemLog } from "../tree/system-zone.ts";
import type { Ask } from "./ask.ts";
import type { Forward, SystemSource } from "./ports.ts";
import { systemCommand } from "./system-client.ts";
import { tellBox } from "./tell.ts";

/** Pause between two looks for members of destroyed zones that have not confirmed, ms. */
const lookMs = 2_000;
/** Destroyed zones of which members are told at once. */
const zonesMax = 4;

export interface DestroyedZonesNeeds {
  self: string;
  ask: Ask;
  forward: Forward;
  groups: Groups;
  source: SystemSource;
  clock: Clock;
}

/**
 * A destroyed zone's record stays in the system zone for good (its number is never used again) and lists the members
 * that have not confirmed that their data is gone. Whoever leads the system zone tells them until they have, so that a
 * member that was down drops its replica when it is back.
 */
export class DestroyedZones {
  readonly #needs: DestroyedZonesNeeds;
  readonly #underWay = new Set<number>();
  #timer: Timer | undefined;
  #isIdle = false;

  constructor(needs: DestroyedZonesNeeds) {
    this.#needs = needs;
    needs.source.onSystemChanged(() => {
      this.#isIdle = false;
    });
  }

  start(): void {
    this.#timer = every(this.#needs.clock, lookMs, () => this.#look());
  }
  stop(): void {
    this.#timer?.cancel();
  }

  #look(): void {
    const leads = this.#needs.groups.view(systemLog)?.isLeader ?? false;
    if (!leads || this.#isIdle) return;
    const open = (this.#needs.source.system()?.logs() ?? []).filter((log) => isOpen(log));
    this.#isIdle = open.length === 0;
    for (const record of open) {
      if (this.#underWay.size >= zonesMax) return;
      if (!this.#underWay.has(record.log)) void this.drop(record);
    }
  }

  /** Tells every member that has not confirmed; why some have not, one sentence each. */
  async drop(record: LogRecord): Promise<string[]> {
    this.#underWay.add(record.log);
    try {
      const members = record.members.filter((member) => member.role !== "witness");
      const told = await Promise.all(members.map((member) => this.#tell(record, member.box)));
      const open = members.filter((_, i) => told[i] !== undefined);
      if (open.length < members.length) {
        const value = { log: record.log, members: open, configIndex: 0, generation: 0, banned: [] };
        const recorded = await systemCommand(this.#needs.ask, { $case: "recordMembers", value });
        if (isRefusal(recorded)) return [`who dropped it could not be recorded: ${recorded.message}`];
      }
      return told.flatMap((refused) => (refused === undefined ? [] : [refused.message]));
    } finally {
      this.#underWay.delete(record.log);
    }
  }

  /** Who was a member once may hold a copy still: told once, if it is up. */
  async dropLeftovers(record: LogRecord): Promise<void> {
    const { self, forward, source } = this.#needs;
    const members = new Set(record.members.map(({ box }) => box));
    const boxes = (source.system()?.boxes() ?? []).filter(({ name, role }) => role !== "Witness" && !members.has(name));
    const others = boxes.filter(({ name }) => name === self || forward.isUp(name));
    await Promise.all(others.map(({ name }) => this.#send(record, name)));
  }

  #tell(record: LogRecord, box: string): Promise<Refusal | undefined> {
    const { source } = this.#needs;
    const member = record.members.find((one) => one.box === box);
    const registered = source
      .system()
      ?.boxes()
      .find((one) => one.name === box);
    // Another disk under that name, or none: the data is gone with the one that was a member.
    const isGone =
      registered === undefined || !equalBytes(registered.incarnation, member?.incarnation ?? new Uint8Array(0));
    return isGone ? Promise.resolve(undefined) : this.#send(record, box);
  }

  #send(record: LogRecord, box: string): Promise<Refusal | undefined> {
    const { self, groups } = this.#needs;
    if (box === self) return dropReplica(groups, record);
    return tellBox(this.#needs, box, { method: "dropZone", body: LogRecord.encode(record).finish() });
  }
}

function isOpen(log: LogRecord): boolean {
  return log.state === "destroyed" && log.members.some((member) => member.role !== "witness");
}

/** On a member of a destroyed zone. */
export async function dropReplica(groups: Groups, { log, zone }: LogRecord): Promise<Refusal | undefined> {
  const view = groups.view(log);
  if (view === undefined) return undefined;
  if (view.zone !== zone) return refuse("PRECONDITION_FAILED", `log ${log} is that of zone ${view.zone}, not ${zone}`);
  await groups.remove(log);
  return undefined;
}
