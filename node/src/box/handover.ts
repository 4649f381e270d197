// Rule changes. The problem: two boxes with different maps must never let two zones serve one path. Why not send the
// new map to all: the one that did not hear of it goes on serving. The sketch: what a zone owns stands in its own state
// machine, which refuses everything else; a change is a chain of commands in the logs concerned (pending map in the
// system zone, losers give up, gainers take over, map active). Every step is idempotent and the pending map says what
// remains, so whoever leads the system zone goes on after a crash. A refusal that will not pass gives everything back
// and aborts. That it will be given back is committed first, and under a fresh epoch: a former driver whose steps are
// still under way finds them too old in every zone, and no epoch is ever used again.
import type { RuleMap, ZoneRule } from "@nexus-federation/proto/records.ts";
import { type Clock, every, type Timer } from "../base/clock.ts";
import { type ErrorCode, errorKinds, isRefusal, type Refusal, refuse } from "../base/errors.ts";
import type { Groups } from "../group/api.ts";
import { systemLog } from "../tree/system-zone.ts";
import { type Ask, refusalIn } from "./ask.ts";
import { type HandoverStep, planHandover, planReturn } from "./handover-plan.ts";
import type { BoxLog, SystemReader, SystemSource } from "./ports.ts";
import { systemCommand, zoneCommand } from "./system-client.ts";

/** Pause before a pending hand-over that nobody drives is taken up, ms. */
const resumeMs = 2_000;

export interface HandoverNeeds {
  ask: Ask;
  source: SystemSource;
  groups: Groups;
  clock: Clock;
  log: BoxLog;
}

/** Runs on the box that leads the system zone; one hand-over at a time. */
export class Handover {
  readonly #needs: HandoverNeeds;
  #running: Promise<unknown> = Promise.resolve();
  #busy = 0;
  #timer: Timer | undefined;

  constructor(needs: HandoverNeeds) {
    this.#needs = needs;
  }

  start(): void {
    this.#timer = every(this.#needs.clock, resumeMs, () => {
      const leads = this.#needs.groups.view(systemLog)?.isLeader ?? false;
      const pending = this.#needs.source.system()?.pendingMap();
      if (leads && pending !== undefined && this.#busy === 0) void this.#serial(() => this.#drive());
    });
  }
  stop(): void {
    this.#timer?.cancel();
  }

  /** Makes `rules` the active map; the new epoch, or why not (then the former map stands, or goes on standing pending). */
  install(expectedEpoch: number, rules: ZoneRule[]): Promise<number | Refusal> {
    return this.#serial(() => this.#install(expectedEpoch, rules));
  }

  #serial<T>(work: () => Promise<T>): Promise<T> {
    this.#busy++;
    const run = this.#running.then(work).finally(() => {
      this.#busy--;
    });
    this.#running = run.catch(() => undefined);
    return run;
  }

  async #install(expectedEpoch: number, rules: ZoneRule[]): Promise<number | Refusal> {
    const { ask, source } = this.#needs;
    const begin = () => systemCommand(ask, { $case: "beginRules", value: { expectedEpoch, rules } });
    let begun = await begin();
    if (isRefusal(begun) && begun.code === "ALREADY_EXISTS") {
      const finished = await this.#drive();
      if (isRefusal(finished)) return finished;
      begun = await begin();
    }
    if (isRefusal(begun)) return begun;
    const pending = await this.#seen(begun.epoch);
    if (pending === undefined && (source.system()?.ruleMap().epoch ?? 0) >= begun.epoch) return begun.epoch;
    return this.#drive();
  }

  /** The pending map as this replica shows it; the leader has applied what it answered. */
  async #seen(epoch: number): Promise<RuleMap | undefined> {
    const pending = this.#needs.source.system()?.pendingMap();
    return pending?.epoch === epoch ? pending : undefined;
  }

  /** Brings the pending map to its end. */
  async #drive(): Promise<number | Refusal> {
    const { source, ask, log } = this.#needs;
    const system = source.system();
    const pending = system?.pendingMap();
    if (system === undefined) return refuse("NO_LEADER", "this box has no replica of the system zone any more");
    const active = system.ruleMap();
    if (pending === undefined) return active.epoch;
    const returning = system.returning();
    if (returning !== undefined) return this.#giveBack(system, pending, refusalOf(returning));
    for (const step of answerable(planHandover(active.rules, pending.rules, pending.epoch), system)) {
      const refused = this.#inOtherHands(pending) ?? (await this.#run(step));
      if (refused === undefined) continue;
      if (errorKinds[refused.code].retryable) {
        return { ...refused, message: `map ${pending.epoch} stays pending, zone ${step.zone}: ${refused.message}` };
      }
      const details = { ...refused.details, rule: step.cause };
      return this.#abort(pending, { ...refused, details, message: `zone ${step.zone}: ${refused.message}` });
    }
    const activated = await systemCommand(ask, { $case: "activateRules", value: { epoch: pending.epoch } });
    if (isRefusal(activated)) return activated;
    log.info("rule map active", { epoch: pending.epoch, rules: pending.rules.length });
    return pending.epoch;
  }

  /** What is activated meanwhile is not given back: one log orders both. */
  async #abort(pending: RuleMap, reason: Refusal): Promise<Refusal> {
    const { ask, source } = this.#needs;
    const value = {
      epoch: pending.epoch,
      code: reason.code,
      reason: reason.message,
      rule: reason.details?.["rule"] ?? "",
    };
    const returned = await systemCommand(ask, { $case: "returnRules", value });
    if (isRefusal(returned)) return { ...returned, message: `${reason.message}; not given back: ${returned.message}` };
    const system = source.system();
    const given = await this.#seen(returned.epoch);
    if (system === undefined || given === undefined) return reason;
    return this.#giveBack(system, given, reason);
  }

  async #giveBack(system: SystemReader, pending: RuleMap, reason: Refusal): Promise<Refusal> {
    const { ask, log } = this.#needs;
    const active = system.ruleMap();
    for (const step of answerable(planReturn(active.rules, pending.rules, pending.epoch), system)) {
      const refused = this.#inOtherHands(pending) ?? (await this.#run(step));
      if (refused !== undefined) {
        return refuse(reason.code, `${reason.message}; giving back is not done yet: ${refused.message}`, reason);
      }
    }
    const value = { epoch: pending.epoch, reason: reason.message };
    const aborted = await systemCommand(ask, { $case: "abortRules", value });
    log.warn("rule map aborted", { epoch: pending.epoch, reason: reason.message });
    return isRefusal(aborted) ? aborted : reason;
  }

  /**
   * Who leads the system zone now may have brought the map to its other end meanwhile: a step that comes behind that,
   * given back after the activation or taken after the abort, would make two zones serve one path, or none.
   */
  #inOtherHands({ epoch }: RuleMap): Refusal | undefined {
    const { groups, source } = this.#needs;
    const leads = groups.view(systemLog)?.isLeader === true;
    if (leads && source.system()?.pendingEpoch() === epoch) return undefined;
    return refuse("NO_LEADER", `map ${epoch} is in other hands: this box does not lead the system zone any more`);
  }

  async #run(step: HandoverStep): Promise<Refusal | undefined> {
    return refusalIn(await zoneCommand(this.#needs.ask, step.zone, step.operation));
  }
}

/** Steps of logs that somebody can take: who gave a zone up for good answers for its paths. */
function answerable(steps: HandoverStep[], system: SystemReader): HandoverStep[] {
  return steps.filter(({ zone }) => system.logOfZone(zone)?.lost !== true);
}

function refusalOf({ code, reason, rule }: { code: string; reason: string; rule: string }): Refusal {
  return refuse(code as ErrorCode, reason, { details: { rule } });
}
