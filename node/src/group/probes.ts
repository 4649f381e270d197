import type { HostCore } from "./core.ts";
import type { Replica } from "./replica.ts";

interface Probe {
  /** When somebody last asked. */
  askedMs: number;
  /** Everything committed before this moment is applied here; -Infinity before the first answer. */
  freshMs: number;
  /** When the probe under way began; undefined when none is. */
  startedMs: number | undefined;
  lastMs: number;
}

/**
 * How stale a replica is, by its own clock alone: it asks the leader for a read point at its time t; once it has applied
 * that, its staleness at any later time is at most now - t. Nobody's clock is compared with anybody else's.
 */
export class Probes {
  readonly #core: HostCore;
  readonly #probes = new Map<Replica, Probe>();

  constructor(core: HostCore) {
    this.#core = core;
  }

  stalenessMs(replica: Replica): number {
    const now = this.#core.needs.clock.now();
    let probe = this.#probes.get(replica);
    if (probe === undefined) {
      const never = Number.NEGATIVE_INFINITY;
      probe = { askedMs: now, freshMs: never, startedMs: undefined, lastMs: never };
      this.#probes.set(replica, probe);
      this.#ask(replica, probe, now);
    }
    probe.askedMs = now;
    // Alone, nobody else can have committed anything.
    if (replica.ready && replica.config.voters.length === 1 && replica.config.votersOutgoing.length === 0) return 0;
    return now - probe.freshMs;
  }

  tick(nowMs: number): void {
    const { probeMs, probeIdleMs } = this.#core.settings;
    for (const [replica, probe] of this.#probes) {
      if (nowMs - probe.askedMs > probeIdleMs) this.#probes.delete(replica);
      else if (probe.startedMs === undefined && nowMs - probe.lastMs >= probeMs) this.#ask(replica, probe, nowMs);
    }
  }

  forget(replica: Replica): void {
    this.#probes.delete(replica);
  }

  #ask(replica: Replica, probe: Probe, nowMs: number): void {
    probe.startedMs = nowMs;
    probe.lastMs = nowMs;
    replica.reads.add(nowMs + this.#core.settings.probeIdleMs, (refusal) => {
      probe.startedMs = undefined;
      if (refusal === undefined) probe.freshMs = nowMs;
    });
    this.#core.attended.add(replica);
    this.#core.turns.mark(replica);
  }
}
