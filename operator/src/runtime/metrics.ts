// Every metric of the runtime, in one list, under the names that dashboards for Kubernetes controllers know.
import { Counter, Gauge, Histogram, type Registry } from "prom-client";

export interface RuntimeMetricDefinition {
  name: string;
  kind: "counter" | "gauge" | "histogram";
  unit: string;
  labels: readonly string[];
  help: string;
  /** Histograms only; upper bounds in the unit. */
  buckets?: readonly number[];
}

const queueSeconds = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300];
const callSeconds = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30];

export const runtimeMetricList = {
  queueDepth: gauge("workqueue_depth", "keys", ["name"], "Keys that wait to be worked on."),
  queueAdds: counter("workqueue_adds_total", "keys", ["name"], "Keys added, those that already waited left out."),
  queueWait: histogram("workqueue_queue_duration_seconds", queueSeconds, ["name"], "How long a key waited."),
  queueWork: histogram("workqueue_work_duration_seconds", queueSeconds, ["name"], "How long one reconcile took."),
  queueRetries: counter("workqueue_retries_total", "retries", ["name"], "Keys added again with backoff."),
  queueUnfinished: gauge(
    "workqueue_unfinished_work_seconds",
    "seconds",
    ["name"],
    "Age of all running reconciles together. Growing means that one is stuck.",
  ),
  queueLongest: gauge(
    "workqueue_longest_running_processor_seconds",
    "seconds",
    ["name"],
    "Age of the longest running reconcile.",
  ),
  reconciles: counter(
    "nexus_operator_reconcile_total",
    "reconciles",
    ["name", "result"],
    "Reconciles by how they ended: done, retry, failed, or error for an exception.",
  ),
  calls: counter(
    "rest_client_requests_total",
    "calls",
    ["method", "code"],
    "Calls to the API server by HTTP status, or by error where there was no answer.",
  ),
  callSeconds: histogram("rest_client_request_duration_seconds", callSeconds, ["method"], "Time to the whole answer."),
  appliesSkipped: counter(
    "nexus_operator_applies_skipped_total",
    "writes",
    [],
    "Writes left out because the object already had what would have been applied.",
  ),
  cacheObjects: gauge("nexus_operator_cache_objects", "objects", ["kind"], "Objects in the cache."),
  cacheEvents: counter(
    "nexus_operator_cache_events_total",
    "events",
    ["kind", "event"],
    "Changes that the cache took.",
  ),
  cacheLists: counter(
    "nexus_operator_cache_lists_total",
    "lists",
    ["kind"],
    "Full lists; more than one means lost watches.",
  ),
  cacheFaults: counter(
    "nexus_operator_cache_faults_total",
    "faults",
    ["kind", "fault"],
    "Watches that stalled, broke, expired or came out of order, and handlers that threw.",
  ),
  expectationsHeld: gauge("nexus_operator_expectations", "keys", [], "Keys that wait for the cache to show a write."),
  expectationsOverdue: counter(
    "nexus_operator_expectations_overdue_total",
    "writes",
    ["kind"],
    "Writes that the cache did not show in time, so that it listed anew.",
  ),
  leader: gauge(
    "leader_election_master_status",
    "0 or 1",
    ["name"],
    "1 while this replica holds the federation's lease (name is its namespace).",
  ),
  eventsDropped: counter(
    "nexus_operator_events_dropped_total",
    "events",
    [],
    "Events not written: too many, or refused.",
  ),
} as const satisfies Record<string, RuntimeMetricDefinition>;

function gauge(name: string, unit: string, labels: readonly string[], help: string) {
  return { name, kind: "gauge", unit, labels, help } as const;
}
function counter(name: string, unit: string, labels: readonly string[], help: string) {
  return { name, kind: "counter", unit, labels, help } as const;
}
function histogram(name: string, buckets: readonly number[], labels: readonly string[], help: string) {
  return { name, kind: "histogram", unit: "seconds", labels, buckets, help } as const;
}

type Instrument<D> = D extends { kind: "counter" }
  ? Counter<string>
  : D extends { kind: "gauge" }
    ? Gauge<string>
    : Histogram<string>;
export type RuntimeMetrics = {
  readonly [K in keyof typeof runtimeMetricList]: Instrument<(typeof runtimeMetricList)[K]>;
};

/** One instrument a definition, registered with `registry`. */
export function createRuntimeMetrics(registry: Registry): RuntimeMetrics {
  const made = Object.entries(runtimeMetricList).map(([key, definition]) => [key, instrument(definition, registry)]);
  return Object.fromEntries(made) as RuntimeMetrics;
}

function instrument(definition: RuntimeMetricDefinition, registry: Registry) {
  const { name, help } = definition;
  const init = { name, help, labelNames: [...definition.labels], registers: [registry] };
  switch (definition.kind) {
    case "counter":
      return new Counter(init);
    case "gauge":
      return new Gauge(init);
    case "histogram":
      return new Histogram({ ...init, buckets: [...(definition.buckets ?? [])] });
  }
}
