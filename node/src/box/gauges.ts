import { X509Certificate } from "node:crypto";
import type { GroupStatus } from "@nexus-federation/proto/admin.ts";
import type { BoxRecord } from "@nexus-federation/proto/records.ts";
import type { Clock } from "../base/clock.ts";
import type { GroupView } from "../group/api.ts";
import type { HostStats } from "../group/stats.ts";
import type { LoopDelay } from "../telemetry/loop-delay.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { TlsNetwork } from "../transport/network.ts";
import { services } from "../transport/ports.ts";
import type { Load } from "./admission.ts";
import type { BoxApi } from "./api.ts";
import { ownCaller } from "./ask.ts";
import { type DiskUse, diskUses } from "./surroundings.ts";

/** A box that was out of reach for longer counts as dead, before as suspect, ms. */
const suspectMs = 10_000;

export interface GaugeNeeds {
  box: BoxApi & { load(): Load };
  metrics: Metrics;
  loop: LoopDelay;
  clock: Clock;
  version: string;
  freeBytes: Readonly<Record<DiskUse, number>>;
  connections: () => { client: number; peer: number };
  network: Pick<TlsNetwork, "connections" | "waitingBytes" | "traffic" | "isUp">;
  stats: () => HostStats;
  /** Bytes that wait for the log's disk. */
  logBacklogBytes: () => number;
  /** Own certificate, PEM. */
  certificate: () => string;
}

/** Numbers that are read off when somebody looks, and a few that follow what the host says. */
export class Gauges {
  readonly #needs: GaugeNeeds;
  readonly #elections = new Map<number, { role: string; leadership: string }>();
  /** When a box was first seen out of reach, monotonic ms. */
  readonly #lost = new Map<string, number>();
  #certificate = { text: "", endsSeconds: 0 };

  constructor(needs: GaugeNeeds) {
    this.#needs = needs;
  }

  /** For Groups.onLeadership. */
  observe(log: number, view: GroupView): void {
    const { metrics } = this.#needs;
    const before = this.#elections.get(log) ?? { role: "", leadership: "" };
    const stands = view.role === "candidate" || view.role === "leader";
    const stood = before.role === "candidate" || before.role === "leader";
    if (stands && !stood) metrics.raftElections.of(view.zone).inc();
    let { leadership } = before;
    if (view.leaderBox !== "") {
      leadership = `${view.term}/${view.leaderBox}`;
      if (leadership !== before.leadership) metrics.raftLeaderChanges.of(view.zone).inc();
    }
    this.#elections.set(log, { role: view.role, leadership });
  }

  read(): void {
    const { box, metrics, loop, version } = this.#needs;
    const status = box.admin.status({ zones: true }, ownCaller);
    this.#readZones(status.groups);
    this.#readHost();
    this.#readTraffic();
    this.#readBoxes(status.boxes);
    metrics.epoch.set(status.epoch);
    for (const use of diskUses) metrics.diskFree.set({ use }, this.#needs.freeBytes[use]);
    metrics.diskFull.set(status.state === "full" ? 1 : 0);
    metrics.certificateExpiry.set(this.#certificateEnds());
    const { p50Ms, p99Ms, maxMs } = loop.reading;
    metrics.loopDelay.set({ quantile: "0.5" }, p50Ms / 1000);
    metrics.loopDelay.set({ quantile: "0.99" }, p99Ms / 1000);
    metrics.loopDelay.set({ quantile: "1" }, maxMs / 1000);
    metrics.info.set({ version, box: box.box, region: box.region }, 1);
  }

  #readZones(groups: readonly GroupStatus[]): void {
    const { metrics } = this.#needs;
    // Zones come and go, and so do roles: what is not said again is gone.
    for (const gauge of zoneGauges(metrics)) gauge.reset();
    for (const group of groups) {
      const { zone } = group;
      metrics.raftTerm.set({ zone }, group.term);
      metrics.raftRole.set({ zone, role: group.role }, 1);
      metrics.raftLeader.set({ zone }, group.leader === "" ? 0 : 1);
      if (group.witnessMode !== "") metrics.raftMode.set({ zone, mode: group.witnessMode }, 1);
      metrics.raftEpoch.set({ zone }, group.epoch);
      metrics.raftCommitIndex.set({ zone }, group.commit);
      metrics.raftAppliedIndex.set({ zone }, group.applied);
      metrics.raftNeedsReplication.set({ zone }, group.needsReplication ? 1 : 0);
      const isKnown = group.stalenessMs < Number.MAX_SAFE_INTEGER;
      metrics.staleness.set({ zone }, isKnown ? group.stalenessMs / 1000 : Number.POSITIVE_INFINITY);
      metrics.locksHeld.set({ zone }, group.locksHeld);
      if (group.mode !== "") metrics.mode.set({ zone, mode: group.mode }, 1);
      if (group.role !== "leader") continue;
      for (const member of group.members) {
        if (member.role !== "witness") metrics.raftFollowerLag.set({ zone, box: member.box }, member.lag);
      }
    }
  }

  #readHost(): void {
    const { metrics, stats, box, logBacklogBytes } = this.#needs;
    const host = stats();
    for (const log of host.logs) {
      const { zone } = log;
      metrics.raftLogSize.set({ zone }, log.entries);
      metrics.raftPending.set({ zone }, log.pending);
      metrics.raftProposals.of(zone, "committed").value = log.committed;
      metrics.raftProposals.of(zone, "refused").value = log.refused;
      metrics.raftProposals.of(zone, "unknown").value = log.unknown;
      metrics.raftSnapshots.of(zone, "sent").value = log.snapshotsSent;
      metrics.raftSnapshots.of(zone, "received").value = log.snapshotsReceived;
    }
    for (const [key, count] of host.witness) {
      const [kind = "", outcome = ""] = key.split("/");
      metrics.witnessMessages.of(kind, outcome).value = count;
    }
    const load = box.load();
    const pending = host.logs.reduce((sum, log) => sum + log.pending, 0);
    metrics.queueSize.set({ queue: "requests" }, load.requests);
    metrics.queueSize.set({ queue: "transfers" }, load.transfers);
    metrics.queueSize.set({ queue: "proposals" }, pending);
    metrics.queueSize.set({ queue: "inbox" }, host.inboxCount);
    metrics.queueBytes.set({ queue: "requests" }, load.bytes);
    metrics.queueBytes.set({ queue: "proposals" }, host.pendingBytes);
    metrics.queueBytes.set({ queue: "inbox" }, host.inboxBytes);
    metrics.queueBytes.set({ queue: "log" }, logBacklogBytes());
    metrics.dropped.of("requests").value = load.refused;
    metrics.dropped.of("inbox").value = host.inboxDropped;
  }

  #readTraffic(): void {
    const { metrics, network, connections } = this.#needs;
    for (const service of services) {
      const { sentBytes, receivedBytes, dropped } = network.traffic[service];
      metrics.peerBytes.of(service, "sent").value = sentBytes;
      metrics.peerBytes.of(service, "received").value = receivedBytes;
      metrics.dropped.of(service).value = dropped;
      metrics.queueBytes.set({ queue: service }, network.waitingBytes(service));
      metrics.peersUp.set({ service }, network.connections(service).out);
    }
    const { client, peer } = connections();
    metrics.connections.set({ port: "client" }, client);
    metrics.connections.set({ port: "peer" }, peer);
  }

  #readBoxes(boxes: readonly BoxRecord[]): void {
    const { box, network, clock, metrics } = this.#needs;
    const counts = { alive: 0, suspect: 0, dead: 0 };
    const now = clock.now();
    for (const { name, role } of boxes) {
      const isUp = name === box.box || network.isUp(role === "Witness" ? "witness" : "raft", name);
      if (isUp) this.#lost.delete(name);
      else if (!this.#lost.has(name)) this.#lost.set(name, now);
      const lostMs = isUp ? 0 : now - (this.#lost.get(name) ?? now);
      counts[isUp ? "alive" : lostMs <= suspectMs ? "suspect" : "dead"]++;
    }
    for (const [status, count] of Object.entries(counts)) metrics.coordinatorNodes.set({ status }, count);
  }

  #certificateEnds(): number {
    const text = this.#needs.certificate();
    if (text !== this.#certificate.text) {
      this.#certificate = { text, endsSeconds: Date.parse(new X509Certificate(text).validTo) / 1000 };
    }
    return this.#certificate.endsSeconds;
  }
}

function zoneGauges(metrics: Metrics) {
  const { raftTerm, raftRole, raftLeader, raftMode, raftEpoch, raftCommitIndex, raftAppliedIndex, staleness } = metrics;
  const { raftNeedsReplication, raftFollowerLag, raftLogSize, raftPending, locksHeld, mode } = metrics;
  const indexes = [raftTerm, raftEpoch, raftCommitIndex, raftAppliedIndex, raftLogSize, raftPending];
  return [
    ...indexes,
    raftRole,
    raftLeader,
    raftMode,
    raftNeedsReplication,
    raftFollowerLag,
    staleness,
    locksHeld,
    mode,
  ];
}
