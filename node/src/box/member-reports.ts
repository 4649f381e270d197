import { type Clock, every, type Timer } from "../base/clock.ts";
import { isRefusal } from "../base/errors.ts";
import type { Groups, GroupView } from "../group/api.ts";
import { systemLog } from "../tree/system-zone.ts";
import type { Ask } from "./ask.ts";
import type { SystemSource } from "./ports.ts";
import { systemCommand } from "./system-client.ts";

/** How often logs that changed are looked at, ms. */
const lookMs = 500;
/** Reports under way at once. */
const reportsMax = 8;

/** Tells the system zone who the members of the logs led here are, so that every box knows where to forward to. */
export class MemberReports {
  /** Logs that applied something since the last look. */
  readonly #changed = new Set<number>();
  /** Config index last recorded by this box, per log. */
  readonly #recorded = new Map<number, number>();
  readonly #needs: { groups: Groups; ask: Ask; clock: Clock; source: SystemSource };
  #underWay = 0;
  #timer: Timer | undefined;

  constructor(needs: { groups: Groups; ask: Ask; clock: Clock; source: SystemSource }) {
    this.#needs = needs;
    needs.groups.onApplied((log) => this.#note(log));
    needs.groups.onLeadership((log, view) => {
      if (view.isLeader) this.#recorded.delete(log);
      this.#note(log);
    });
  }
  #note(log: number): void {
    if (log !== systemLog) this.#changed.add(log);
  }

  start(): void {
    this.#timer = every(this.#needs.clock, lookMs, () => this.#look());
  }
  stop(): void {
    this.#timer?.cancel();
  }

  #look(): void {
    for (const log of [...this.#changed]) {
      if (this.#underWay >= reportsMax) return;
      this.#changed.delete(log);
      const view = this.#needs.groups.view(log);
      if (!view?.isLeader || view.config.configIndex <= (this.#recorded.get(log) ?? -1)) continue;
      if (view.config.votersOutgoing.length > 0) continue;
      const { configIndex, members, banned } = view.config;
      if (this.#isKnown(view)) {
        this.#recorded.set(log, configIndex);
        continue;
      }
      this.#underWay++;
      const value = { log, members, configIndex, generation: view.generation, banned };
      systemCommand(this.#needs.ask, { $case: "recordMembers", value }).then((reply) => {
        this.#underWay--;
        if (isRefusal(reply)) {
          this.#changed.add(log);
          return;
        }
        this.#recorded.set(log, configIndex);
        // Others may wait for this one's place.
        this.#look();
      });
    }
  }

  /** A box that leads hundreds of logs anew need not repeat what the system zone has, if it can see that. */
  #isKnown({ log, generation, config }: GroupView): boolean {
    const known = this.#needs.source.system()?.log(log);
    if (known === undefined) return false;
    return known.generation === generation ? known.configIndex >= config.configIndex : known.generation > generation;
  }
}
