import type { Groups, GroupView, LockEvent } from "../group/api.ts";
import type { FrozenMachine } from "../group/machine-states.ts";
import type { Machine } from "../machine/machine.ts";
import { systemLog } from "../tree/system-zone.ts";
import type { WaitEnd, ZoneReader, ZoneStates } from "../zones/ports.ts";
import type { SystemReader, SystemSource } from "./ports.ts";

/** Where the machines of this box's replicas are found (group/: MachineStates). */
export interface MachineOwner {
  machine(log: number): Machine | undefined;
  /** The state of this moment, for reads spread over time; to be closed. */
  freeze(log: number): FrozenMachine | undefined;
}

/** The state behind this box's replicas, as the engines and the directory ask for it. */
export class BoxStates implements ZoneStates, SystemSource {
  readonly #machines: MachineOwner;
  readonly #groups: Groups;
  readonly #changed: (() => void)[] = [];
  #systemIndex = 0;
  /** Logs whose replica must not serve; learnt with leadership, asked again when it changes. */
  readonly #mute = new Set<number>();

  constructor(machines: MachineOwner, groups: Groups) {
    this.#machines = machines;
    this.#groups = groups;
    groups.onLeadership((log, view) => this.#noteServing(log, view));
    groups.onApplied((log, batch) => {
      if (log !== systemLog) return;
      this.#systemIndex = batch.index;
      for (const listener of this.#changed) listener();
    });
  }

  #noteServing(log: number, view: GroupView): void {
    if (view.needsReplication) this.#mute.add(log);
    else this.#mute.delete(log);
  }

  reader(log: number): ZoneReader | undefined {
    if (this.#mute.has(log) || !this.#groups.has(log)) return undefined;
    return this.#machines.machine(log);
  }

  onWaitEnded(listener: (log: number, end: WaitEnd) => void): void {
    this.#groups.onLocks((log, events) => {
      for (const event of events) listener(log, endOf(event));
    });
  }

  /** Undefined without a replica, or with one that is no member (any more): it may know nothing, or old things for ever. */
  system(): SystemReader | undefined {
    const view = this.#groups.view(systemLog);
    if (!view?.progress.some((member) => member.state === "self")) return undefined;
    return this.#machines.machine(systemLog)?.system;
  }
  systemRevision(): number {
    return Math.max(this.#systemIndex, this.#machines.machine(systemLog)?.appliedIndex ?? 0);
  }
  onSystemChanged(listener: () => void): void {
    this.#changed.push(listener);
  }
}

function endOf(event: LockEvent): WaitEnd {
  const { path, waiterId } = event;
  if (event.kind === "lock-granted") return { path, waiterId, outcome: { kind: "granted", grant: event.grant } };
  return { path, waiterId, outcome: { kind: "ended", refusal: event.refusal } };
}
