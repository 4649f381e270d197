import type { LoopDelay } from "../telemetry/loop-delay.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { BoxApi } from "./api.ts";
import { ownCaller } from "./ask.ts";

export interface GaugeNeeds {
  box: BoxApi;
  metrics: Metrics;
  loop: LoopDelay;
  freeBytes: () => number;
  version: string;
  connections: () => { client: number; peer: number };
  peersUp: () => { raft: number; forward: number };
}

/** Numbers that are read off when somebody looks, per zone and for the box. */
export function readGauges(needs: GaugeNeeds): void {
  const { box, metrics, loop } = needs;
  const status = box.admin.status({ zones: true }, ownCaller);
  const perZone = [metrics.raftRole, metrics.raftMode, metrics.raftFollowerLag, metrics.mode];
  for (const gauge of perZone) gauge.reset();
  for (const group of status.groups) {
    const { zone } = group;
    metrics.raftTerm.set({ zone }, group.term);
    metrics.raftRole.set({ zone, role: group.role }, 1);
    metrics.raftLeader.set({ zone }, group.leader === "" ? 0 : 1);
    if (group.witnessMode !== "") metrics.raftMode.set({ zone, mode: group.witnessMode }, 1);
    metrics.raftEpoch.set({ zone }, group.epoch);
    metrics.raftCommitIndex.set({ zone }, group.commit);
    metrics.raftAppliedIndex.set({ zone }, group.applied);
    metrics.raftNeedsReplication.set({ zone }, group.needsReplication ? 1 : 0);
    metrics.staleness.set({ zone }, Math.min(group.stalenessMs, Number.MAX_SAFE_INTEGER) / 1000);
    metrics.locksHeld.set({ zone }, group.locksHeld);
    if (group.mode !== "") metrics.mode.set({ zone, mode: group.mode }, 1);
    if (group.role !== "leader") continue;
    for (const member of group.members) {
      if (member.role !== "witness") metrics.raftFollowerLag.set({ zone, box: member.box }, member.lag);
    }
  }
  metrics.epoch.set(status.epoch);
  metrics.diskFree.set({ use: "data" }, needs.freeBytes());
  metrics.diskFull.set(status.state === "full" ? 1 : 0);
  const { client, peer } = needs.connections();
  metrics.connections.set({ port: "client" }, client);
  metrics.connections.set({ port: "peer" }, peer);
  const up = needs.peersUp();
  metrics.peersUp.set({ service: "raft" }, up.raft);
  metrics.peersUp.set({ service: "forward" }, up.forward);
  const { p50Ms, p99Ms, maxMs } = loop.reading;
  for (const [quantile, ms] of [
    ["0.5", p50Ms],
    ["0.99", p99Ms],
    ["1", maxMs],
  ] as const) {
    metrics.loopDelay.set({ quantile }, ms / 1000);
  }
  metrics.info.set({ version: needs.version, box: box.box, region: box.region }, 1);
}
