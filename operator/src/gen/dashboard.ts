// The Grafana dashboard of the chart, from a list of panels.

interface Panel {
  title: string;
  /** What to think of it. */
  about: string;
  unit: string;
  /** PromQL by legend. `$namespace` is the chosen federation's. */
  series: Record<string, string>;
}

const here = 'namespace="$namespace"';
const percentile = (quantile: number, metric: string, by: string) =>
  `histogram_quantile(${quantile}, sum by (le, ${by}) (rate(${metric}_bucket{${here}}[$__rate_interval])))`;

export const panels: Panel[] = [
  {
    title: "Leaders",
    about: "1 for each zone that has a leader. 0 for longer than an election means that writes stop.",
    unit: "short",
    series: { "{{zone}}": `max by (zone) (nexus_raft_leader{${here}})` },
  },
  {
    title: "One copy and the witness (SOLO)",
    about: "1 while one full member is missing and the witness stands for it.",
    unit: "short",
    series: { "{{zone}}": `max by (zone) (nexus_raft_mode{${here},mode="SOLO"})` },
  },
  {
    title: "Requests",
    about: "Asked of the boxes, by operation.",
    unit: "reqps",
    series: { "{{op}}": `sum by (op) (rate(nexus_requests_total{${here}}[$__rate_interval]))` },
  },
  {
    title: "Refusals",
    about: "By error code (docs/reference/errors.md).",
    unit: "reqps",
    series: { "{{code}}": `sum by (code) (rate(nexus_refused_total{${here}}[$__rate_interval]))` },
  },
  {
    title: "Time of a request, 99 of 100",
    about: "From arrival to answer.",
    unit: "s",
    series: { "{{op}}": percentile(0.99, "nexus_request_seconds", "op") },
  },
  {
    title: "Time of a durable write, 99 of 100",
    about: "A disk that is slow here makes every write slow.",
    unit: "s",
    series: { "{{pod}}": percentile(0.99, "nexus_log_fsync_seconds", "pod") },
  },
  {
    title: "Entries that followers are behind",
    about: "As the leader sees them.",
    unit: "short",
    series: { "{{zone}} {{box}}": `max by (zone, box) (nexus_raft_follower_lag{${here}})` },
  },
  {
    title: "Changes of leader",
    about: "In ten minutes. More than a few means an unsteady network or disk.",
    unit: "short",
    series: { "{{zone}}": `max by (zone) (increase(nexus_raft_leader_changes_total{${here}}[10m]))` },
  },
  {
    title: "Free disk space",
    about: "Below the reserve writes are refused.",
    unit: "bytes",
    series: { "{{pod}} {{use}}": `min by (pod, use) (nexus_disk_free_bytes{${here}})` },
  },
  {
    title: "Locks held",
    about: "By zone.",
    unit: "short",
    series: { "{{zone}}": `max by (zone) (nexus_locks_held{${here}})` },
  },
  {
    title: "Delay of the event loop, longest",
    about: "Above 0.1 s a box is short of processor time.",
    unit: "s",
    series: { "{{pod}}": `max by (pod) (nexus_event_loop_delay_seconds{${here},quantile="1"})` },
  },
  {
    title: "Operator: work waiting",
    about: "Federations that wait for their turn.",
    unit: "short",
    series: { "{{name}}": "max by (name) (workqueue_depth)" },
  },
];

const columns = 2;
const heightUnits = 8;

export function dashboard(): string {
  const datasource = { type: "prometheus", uid: "$datasource" };
  const namespaces = "label_values(nexus_info, namespace)";
  const board = {
    title: "Nexus",
    uid: "nexus",
    tags: ["nexus"],
    schemaVersion: 39,
    refresh: "30s",
    time: { from: "now-3h", to: "now" },
    templating: {
      list: [
        { name: "datasource", label: "Data source", type: "datasource", query: "prometheus" },
        { name: "namespace", label: "Federation", type: "query", datasource, query: namespaces, refresh: 2 },
      ],
    },
    panels: panels.map((panel, index) => ({
      id: index + 1,
      type: "timeseries",
      title: panel.title,
      description: panel.about,
      datasource,
      gridPos: {
        x: (index % columns) * (24 / columns),
        y: Math.floor(index / columns) * heightUnits,
        w: 24 / columns,
        h: heightUnits,
      },
      fieldConfig: { defaults: { unit: panel.unit, min: 0 }, overrides: [] },
      targets: Object.entries(panel.series).map(([legendFormat, expr], at) => ({
        refId: String.fromCharCode(65 + at),
        datasource,
        expr,
        legendFormat,
      })),
    })),
  };
  return `${JSON.stringify(board, null, 2)}\n`;
}
