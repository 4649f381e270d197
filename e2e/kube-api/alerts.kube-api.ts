// The chart's alerts judged by Prometheus' own tool: each is quiet while all is well, and fires when its time has come.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { must, run } from "../cluster/programs.ts";
import { promtool } from "../cluster/promtool.ts";

const text = readFileSync(resolve(import.meta.dirname, "../../charts/nexus/files/alerts.yaml"), "utf8");

interface Rule {
  alert: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
const rules = (parse(text) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);

interface Case {
  alert: string;
  /** Series, a value a minute: a+bxn begins at a and grows by b n times. */
  series: Record<string, string>;
  quietAt: string;
  firesAt: string;
  /** Of the firing alert, besides its rule's own. */
  labels: Record<string, string>;
}

const pod = { namespace: "files", pod: "nexus-1-0" };
const at = 'namespace="files",pod="nexus-1-0"';
const month = 30 * 86_400;
const cases: Case[] = [
  {
    alert: "NexusLogWithoutLeader",
    series: {
      [`nexus_raft_leader{${at},zone="root"}`]: "1 1 1 0x9",
      'nexus_raft_leader{namespace="files",pod="nexus-2-0",zone="root"}': "1 1 1 1 0x9",
    },
    quietAt: "4m",
    firesAt: "6m",
    labels: { namespace: "files", zone: "root" },
  },
  {
    alert: "NexusOneCopyOnly",
    series: { [`nexus_raft_mode{${at},mode="SOLO",zone="root"}`]: "0 0 1x20" },
    quietAt: "10m",
    firesAt: "13m",
    labels: { namespace: "files", zone: "root" },
  },
  {
    alert: "NexusBoxAway",
    series: { [`up{${at},app_kubernetes_io_component="node"}`]: "1 1 0x20" },
    quietAt: "10m",
    firesAt: "13m",
    labels: pod,
  },
  {
    alert: "NexusWitnessAway",
    series: { [`up{${at},app_kubernetes_io_component="witness"}`]: "1 1 0x20" },
    quietAt: "10m",
    firesAt: "13m",
    labels: pod,
  },
  {
    alert: "NexusDiskFull",
    series: { [`nexus_disk_full{${at}}`]: "0 0 1x5" },
    quietAt: "1m",
    firesAt: "3m",
    labels: pod,
  },
  {
    alert: "NexusDiskFillsUp",
    series: { [`nexus_disk_free_bytes{${at},use="log"}`]: "1000000+0x60 1000000-2000x200" },
    quietAt: "60m",
    firesAt: "240m",
    labels: { ...pod, use: "log" },
  },
  {
    // The series is not there before the first corrupt record.
    alert: "NexusCorruptRecords",
    series: { [`nexus_corrupt_total{${at},store="log"}`]: "_x5 1x200" },
    quietAt: "4m",
    firesAt: "7m",
    labels: { ...pod, store: "log" },
  },
  {
    alert: "NexusCertificateEnds",
    series: {
      [`nexus_certificate_expiry_seconds{${at}}`]: `${month}x10 ${13 * 86_400}x90`,
    },
    quietAt: "30m",
    firesAt: "90m",
    labels: pod,
  },
  {
    alert: "NexusOperatorStuck",
    series: { [`workqueue_longest_running_processor_seconds{${at},name="federation"}`]: "1 1 601x5" },
    quietAt: "1m",
    firesAt: "3m",
    labels: pod,
  },
];

function testOf({ alert, series, quietAt, firesAt, labels }: Case): object {
  const { labels: own, annotations } = rules.find((rule) => rule.alert === alert)!;
  const filled = Object.fromEntries(
    Object.entries(annotations).map(([name, words]) => [
      name,
      words.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => labels[label] ?? ""),
    ]),
  );
  return {
    interval: "1m",
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    alert_rule_test: [
      { eval_time: quietAt, alertname: alert, exp_alerts: [] },
      {
        eval_time: firesAt,
        alertname: alert,
        exp_alerts: [{ exp_labels: { ...own, ...labels }, exp_annotations: filled }],
      },
    ],
  };
}

/** Its path, or why there is none. */
const tool = await promtool().catch((error: Error) => error);
if (tool instanceof Error) console.warn(`SKIPPED: the chart's alerts: ${tool.message}`);

describe.skipIf(tool instanceof Error)("the chart's alerts", () => {
  const program = String(tool);
  const folder = mkdtempSync(join(tmpdir(), "nexus-alerts-"));
  const rulesFile = join(folder, "alerts.yaml");
  writeFileSync(rulesFile, text);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("are rules that Prometheus takes", async () => {
    expect(await must([program, "check", "rules", rulesFile])).toContain(`${rules.length} rules found`);
  });

  test("each has its case", () => {
    expect(cases.map(({ alert }) => alert)).toEqual(rules.map(({ alert }) => alert));
  });

  test.each(cases)("$alert is quiet while all is well and fires when it is due", async (one) => {
    const file = join(folder, `${one.alert}.yaml`);
    const body = { rule_files: [rulesFile], evaluation_interval: "1m", tests: [testOf(one)] };
    writeFileSync(file, stringify(body, { aliasDuplicateObjects: false }));

    const { code, stdout, stderr } = await run([program, "test", "rules", file]);

    expect(`${code} ${stdout}${stderr}`).toMatch(/^0 /);
  });
});
