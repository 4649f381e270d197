export type MetricKind = "counter" | "gauge" | "histogram";

export interface MetricDefinition {
  name: string;
  kind: MetricKind;
  help: string;
  /** Unit of the value: seconds, bytes, or what is counted. */
  unit: string;
  labels: readonly string[];
  /** Histograms only; upper bounds in the unit. */
  buckets?: readonly number[];
}
