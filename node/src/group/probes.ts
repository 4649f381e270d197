import type { HostCore } from "./core.ts";
import type { Replica } from "./replica.ts";

/** A report has a replica that nobody reads from asked again after this time, ms, ... */
const reportMs = 30_000;
/** ... and so many of them in a second at most: each wakes a group that may be at rest. */
const reportsPerSecondMax = 32;

interface Probe {
  /** When a read last asked: probes follow each other for a while. */
  askedMs: number;
  /** When a report last asked. */
  reportedMs: number;
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
  /** Probes begun for reports in the second that began at `sinceMs`. */
  readonly #reports = { sinceMs: Number.NEGATIVE_INFINITY, count: 0 };

  constructor(core: HostCore) {
    this.#core = core;
  }

  /** For a read. Who has asked is kept informed for a while: the next one need not wait. */
  stalenessMs(replica: Replica): number {
    const now = this.#core.needs.clock.now();
    const probe = this.#of(replica);
    if (now - probe.askedMs > this.#core.settings.probeIdleMs && probe.startedMs === undefined) {
      this.#ask(replica, probe, now);
    }
    probe.askedMs = now;
    return boundOf(replica, probe, now);
  }

  /**
   * For a status or a metric, which asks about all replicas again and again: what is proven already. It is renewed twice a
   * minute, or a thousand groups would never come to rest for being looked at.
   */
  reportedMs(replica: Replica): number {
    const now = this.#core.needs.clock.now();
    const probe = this.#of(replica);
    probe.reportedMs = now;
    if (probe.startedMs === undefined && now - probe.lastMs >= reportMs && this.#mayReport(now)) {
      this.#ask(replica, probe, now);
    }
    return boundOf(replica, probe, now);
  }

  #mayReport(nowMs: number): boolean {
    const reports = this.#reports;
    if (nowMs - reports.sinceMs >= 1_000) {
      reports.sinceMs = nowMs;
      reports.count = 0;
    }
    return ++reports.count <= reportsPerSecondMax;
  }

  #of(replica: Replica): Probe {
    const known = this.#probes.get(replica);
    if (known !== undefined) return known;
    const never = Number.NEGATIVE_INFINITY;
    const probe = { askedMs: never, reportedMs: never, freshMs: never, startedMs: undefined, lastMs: never };
    this.#probes.set(replica, probe);
    return probe;
  }

  tick(nowMs: number): void {
    const { probeMs, probeIdleMs } = this.#core.settings;
    for (const [replica, probe] of this.#probes) {
      if (nowMs - probe.askedMs <= probeIdleMs) {
        if (probe.startedMs === undefined && nowMs - probe.lastMs >= probeMs) this.#ask(replica, probe, nowMs);
      } else if (nowMs - probe.reportedMs > 2 * reportMs) this.#probes.delete(replica);
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

function boundOf({ ready, config }: Replica, { freshMs }: Probe, nowMs: number): number {
  // Alone, nobody else can have committed anything.
  if (ready && config.voters.length === 1 && config.votersOutgoing.length === 0) return 0;
  return nowMs - freshMs;
}
