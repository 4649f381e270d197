import type { WitnessCounters, WitnessServer } from "./server.ts";

const help: Record<keyof WitnessCounters, string> = {
  requests: "Requests of all kinds.",
  refused: "Requests for records that are unknown or of another incarnation, and joins beyond the limits.",
  granted: "Votes granted.",
  engaged: "Engagements accepted, repeated ones included.",
  joined: "Records created.",
  writes: "Durable writes; each may cover many requests.",
  overloaded: "Batches refused because too many waited for the disk.",
};

/** The metrics page in Prometheus text format. */
export function metricsPage(server: WitnessServer): string {
  const lines: string[] = [];
  const metric = (name: string, type: string, text: string, value: number): void => {
    lines.push(`# HELP ${name} ${text}`, `# TYPE ${name} ${type}`, `${name} ${value}`);
  };
  for (const key of Object.keys(help) as (keyof WitnessCounters)[]) {
    metric(`nexus_witness_${key}_total`, "counter", help[key], server.counters[key]);
  }
  metric("nexus_witness_records", "gauge", "Records held, one for each group and join.", server.records);
  return `${lines.join("\n")}\n`;
}
