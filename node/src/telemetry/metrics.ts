// Every metric of a data box, in one list: the reference page of the docs is printed from it, and nothing else may
// register one. Why a list and not a counter beside each use: names and labels are an interface for dashboards and
// alerts, and cardinality is bounded only where somebody sees all labels together. The witness writes its own short text
// page (it loads no prom-client) under the names given here.

import { collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { CountFamily, DistributionFamily } from "./counts.ts";
import type { MetricDefinition } from "./metric-definition.ts";

/** From an NVMe flush to a stalled disk. */
const diskSeconds = [0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];
/** From a local read to the default request time-out. */
const requestSeconds = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const zone = ["zone"] as const;

function gauge<const L extends readonly string[]>(name: string, init: { unit: string; labels: L; help: string }) {
  return { name, kind: "gauge", ...init } as const;
}
function counter<const L extends readonly string[]>(name: string, init: { unit: string; labels: L; help: string }) {
  return { name, kind: "counter", ...init } as const;
}
function histogram<const L extends readonly string[]>(
  name: string,
  init: { unit: string; labels: L; buckets: readonly number[]; help: string },
) {
  return { name, kind: "histogram", ...init } as const;
}

export const metricList = {
  // Consensus, per zone.
  raftTerm: gauge("nexus_raft_term", { unit: "term", labels: zone, help: "Current term of the zone's log." }),
  raftRole: gauge("nexus_raft_role", {
    unit: "0 or 1",
    labels: ["zone", "role"],
    help: "1 for the role this box has in the zone: leader, follower, candidate or learner.",
  }),
  raftLeader: gauge("nexus_raft_leader", {
    unit: "0 or 1",
    labels: zone,
    help: "1 when this box knows a leader of the zone. 0 for longer than an election means that writes stop.",
  }),
  raftMode: gauge("nexus_raft_mode", {
    unit: "0 or 1",
    labels: ["zone", "mode"],
    help: "Leader only: 1 for PAIR or SOLO. SOLO means that one full member is missing and the witness stands for it.",
  }),
  raftEpoch: gauge("nexus_raft_epoch", { unit: "epoch", labels: zone, help: "Witness epoch within the term." }),
  raftLogSize: gauge("nexus_raft_log_size", {
    unit: "entries",
    labels: zone,
    help: "Entries in the log since its last compaction.",
  }),
  raftCommitIndex: gauge("nexus_raft_commit_index", { unit: "index", labels: zone, help: "Highest committed index." }),
  raftAppliedIndex: gauge("nexus_raft_applied_index", { unit: "index", labels: zone, help: "Highest applied index." }),
  raftElections: counter("nexus_raft_election_count", {
    unit: "elections",
    labels: zone,
    help: "Times this box stood for election.",
  }),
  raftLeaderChanges: counter("nexus_raft_leader_changes_total", {
    unit: "changes",
    labels: zone,
    help: "Leaders seen one after another, by term.",
  }),
  raftFollowerLag: gauge("nexus_raft_follower_lag", {
    unit: "entries",
    labels: ["zone", "box"],
    help: "Leader only: entries that the member's durable log is behind.",
  }),
  raftProposals: counter("nexus_raft_proposals_total", {
    unit: "proposals",
    labels: ["zone", "outcome"],
    help: "Proposals by outcome: committed, refused, unknown.",
  }),
  raftPending: gauge("nexus_raft_proposals_pending", {
    unit: "proposals",
    labels: zone,
    help: "Proposals not yet committed.",
  }),
  raftSnapshots: counter("nexus_raft_snapshots_total", {
    unit: "snapshots",
    labels: ["zone", "direction"],
    help: "Snapshots sent and received.",
  }),
  raftNeedsReplication: gauge("nexus_raft_needs_replication", {
    unit: "0 or 1",
    labels: zone,
    help: "1 when this member's data is damaged or lost: it neither votes nor leads until it is replicated anew.",
  }),
  staleness: gauge("nexus_staleness_seconds", {
    unit: "seconds",
    labels: zone,
    help: "Upper bound of how far reads served here may be behind, as proven last: for a zone that nobody reads from here, twice a minute.",
  }),
  mode: gauge("nexus_zone_mode", {
    unit: "0 or 1",
    labels: ["zone", "mode"],
    help: "1 for the zone's consistency mode.",
  }),
  locksHeld: gauge("nexus_locks_held", { unit: "locks", labels: zone, help: "Locks with a holder." }),

  // Witness.
  witnessMessages: counter("nexus_witness_messages_total", {
    unit: "messages",
    labels: ["kind", "outcome"],
    help: "Requests to witnesses (join, vote, engage, ping) by outcome. None in steady PAIR.",
  }),

  // Disk.
  fsync: histogram("nexus_log_fsync_seconds", {
    unit: "seconds",
    labels: [],
    buckets: diskSeconds,
    help: "Time of one durable write of the segment log.",
  }),
  logBatchBytes: histogram("nexus_log_batch_bytes", {
    unit: "bytes",
    labels: [],
    buckets: [512, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304],
    help: "Bytes of one durable write of the segment log.",
  }),
  applySeconds: histogram("nexus_apply_seconds", {
    unit: "seconds",
    labels: [],
    buckets: diskSeconds,
    help: "Time to apply one batch of entries.",
  }),
  diskFree: gauge("nexus_disk_free_bytes", {
    unit: "bytes",
    labels: ["use"],
    help: "Free bytes where log, state and chunks lie.",
  }),
  diskFull: gauge("nexus_disk_full", {
    unit: "0 or 1",
    labels: [],
    help: "1 when writes are refused because free space is below the reserve.",
  }),
  corrupt: counter("nexus_corrupt_total", {
    unit: "records",
    labels: ["store"],
    help: "Records whose checksum failed.",
  }),
  chunkBytes: counter("nexus_chunk_bytes_total", {
    unit: "bytes",
    labels: ["direction"],
    help: "Chunk bytes read, written, sent and received.",
  }),

  // Requests.
  requests: counter("nexus_requests_total", {
    unit: "requests",
    labels: ["door", "op"],
    help: "Requests by door (grpc, http, peer) and operation.",
  }),
  requestSeconds: histogram("nexus_request_seconds", {
    unit: "seconds",
    labels: ["op"],
    buckets: requestSeconds,
    help: "Time from a request's arrival to its answer.",
  }),
  refused: counter("nexus_refused_total", { unit: "requests", labels: ["code"], help: "Refusals by error code." }),
  queueSize: gauge("nexus_queue_size", { unit: "items", labels: ["queue"], help: "Items in a bounded queue." }),
  queueBytes: gauge("nexus_queue_bytes", { unit: "bytes", labels: ["queue"], help: "Bytes in a bounded queue." }),
  dropped: counter("nexus_dropped_total", {
    unit: "items",
    labels: ["queue"],
    help: "Items dropped or refused because a queue was full.",
  }),
  epoch: gauge("nexus_rule_epoch", { unit: "epoch", labels: [], help: "Number of the rule map this box routes by." }),

  // Network and process.
  connections: gauge("nexus_connections", {
    unit: "connections",
    labels: ["port"],
    help: "Open connections of the client and the peer port.",
  }),
  tokenReviews: counter("nexus_token_reviews_total", {
    unit: "questions",
    labels: ["outcome"],
    help: "Questions to the Kubernetes API server about service account tokens by outcome: accepted, refused, failed.",
  }),
  connectionsRefused: counter("nexus_connections_refused_total", {
    unit: "connections",
    labels: ["port"],
    help: "Connections refused: certificate, limit, time.",
  }),
  peersUp: gauge("nexus_peers_up", { unit: "peers", labels: ["service"], help: "Peers with an open stream." }),
  peerBytes: counter("nexus_peer_bytes_total", {
    unit: "bytes",
    labels: ["service", "direction"],
    help: "Bytes of peer messages.",
  }),
  certificateExpiry: gauge("nexus_certificate_expiry_seconds", {
    unit: "seconds",
    labels: [],
    help: "Wall time (seconds since 1970) at which this box's certificate ends.",
  }),
  loopDelay: gauge("nexus_event_loop_delay_seconds", {
    unit: "seconds",
    labels: ["quantile"],
    help: "Delay of the event loop over the last window: 0.5, 0.99 and 1 (the longest).",
  }),
  info: gauge("nexus_info", {
    unit: "1",
    labels: ["version", "box", "region"],
    help: "Always 1; tells what runs here.",
  }),

  // Names that the seeds promise.
  coordinatorNodes: gauge("nexus_coordinator_nodes_total", {
    unit: "boxes",
    labels: ["status"],
    help: "Boxes of the federation by liveness: alive, suspect, dead.",
  }),
  coordinatorRequests: counter("nexus_coordinator_requests_total", {
    unit: "requests",
    labels: [],
    help: "Requests this box routed.",
  }),
  coordinatorFailures: counter("nexus_coordinator_failures_total", {
    unit: "requests",
    labels: [],
    help: "Requests this box routed and could not get served.",
  }),
  coordinatorHealthChecks: counter("nexus_coordinator_health_checks_total", {
    unit: "checks",
    labels: [],
    help: "Health checks answered.",
  }),
} as const satisfies Record<string, MetricDefinition>;

type List = typeof metricList;
type MetricOf<D extends MetricDefinition> = D["kind"] extends "counter"
  ? CountFamily
  : D["kind"] extends "gauge"
    ? Gauge<D["labels"][number]>
    : DistributionFamily;

export type Metrics = { readonly [K in keyof List]: MetricOf<List[K]> } & { readonly registry: Registry };

/** Registers the whole list, and node's own process metrics unless told not to. */
export function createMetrics(options: { processMetrics: boolean }): Metrics {
  const registry = new Registry();
  if (options.processMetrics) collectDefaultMetrics({ register: registry });
  const made: Record<string, unknown> = { registry };
  for (const [key, definition] of Object.entries(metricList)) {
    const metric = make(definition);
    // The registry asks for `name` and `get` alone, which its types do not say.
    registry.registerMetric(metric as Gauge);
    made[key] = metric;
  }
  return made as Metrics;
}

function make(definition: MetricDefinition): Gauge | CountFamily | DistributionFamily {
  const { name, help, labels, buckets } = definition;
  switch (definition.kind) {
    case "counter":
      return new CountFamily(definition);
    case "gauge":
      return new Gauge({ name, help, labelNames: [...labels], registers: [] });
    case "histogram":
      return new DistributionFamily(definition, buckets ?? requestSeconds);
  }
}
