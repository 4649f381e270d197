// The values of the Helm chart: its schema, which Helm checks before it renders anything, and its reference page.
import * as z from "zod";
import { confirmDeleteAnnotation, drainAnnotation } from "../api/annotations.ts";
import { generatedMark } from "./page.ts";

const text = (about: string) => z.string().max(253).describe(about);
const onOff = (about: string) => z.boolean().describe(about);
const words = (about: string) => z.record(z.string(), z.string()).describe(about);
const anything = (about: string) => z.record(z.string(), z.unknown()).describe(about);
const name = z.string().regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);

export const chartValues = z.strictObject({
  image: z.strictObject({
    registry: text("Put before the three image names, like `images.example.org/team`. Default: none."),
    tag: text("Of the three images. Default: the chart's appVersion."),
    pullPolicy: z.enum(["Always", "IfNotPresent", "Never"]).describe("Of the operator's image."),
    operator: text("Name of the operator's image."),
    node: text("Name of the image of data boxes that name none. A box keeps the one it was created with."),
    witness: text("Name of the image of witnesses that name none."),
  }),
  imagePullSecrets: z.array(text("")).max(8).describe("Secrets that pods pull images with, in each pod's namespace."),
  replicas: z.int().min(1).max(5).describe("Operators; for each federation one acts and the others stand by."),
  cluster: name.describe("Name of this cluster: only boxes with this `spec.cluster` are run here."),
  namespaces: z.array(name).max(1_000).describe("Namespaces to work in; empty: all. Rights are given in these only."),
  log: z.enum(["debug", "info", "warn", "error"]).describe("Least level that the operator logs."),
  crds: z.strictObject({
    enabled: onOff("Installs and upgrades the resource definitions. They stay when the release is uninstalled."),
  }),
  rbac: z.strictObject({
    create: onOff("Makes roles and bindings for the operator's account."),
    clusterWide: onOff(
      `Lets the operator read nodes and namespaces, and let go of the boxes and zones of a namespace that ends. Without it no hand-over happens by itself before a drain (annotate the Box with ${drainAnnotation}), and deleting a namespace waits for its finalizers: delete its boxes and zones first.`,
    ),
  }),
  serviceAccount: z.strictObject({
    create: onOff("Makes the operator's account."),
    name: text("Its name. Default: that of the Deployment."),
    annotations: words("Its annotations."),
  }),
  tokenReview: z.strictObject({
    enabled: onOff(
      "Lets the account `nexus-box` of `namespaces` (none: of the release's own) ask the API server whether a service account token is genuine, and nothing else. Boxes of a federation with auth.tokenReview run under it; the operator makes it.",
    ),
  }),
  confirmDelete: z.strictObject({
    enabled: onOff(
      `Refuses to delete a Box that is in use unless it carries ${confirmDeleteAnnotation}: <its name>. Namespaces that are being deleted are exempt.`,
    ),
  }),
  networkPolicies: z.strictObject({
    enabled: onOff("Makes NetworkPolicies for the operator and, in `namespaces` (none: the release's own), for boxes."),
    clients: z
      .array(anything(""))
      .max(64)
      .describe("Peers (`from` of a NetworkPolicy) that reach port 2026. Empty: all."),
    peers: z.array(anything("")).max(64).describe("More that reach port 2027: boxes of other clusters."),
    scrapers: z
      .array(anything(""))
      .max(64)
      .describe("Peers that reach ports 2029 and 8081, the metrics of boxes and operator. Empty: all."),
  }),
  monitoring: z.strictObject({
    podMonitor: z.strictObject({
      enabled: onOff("Makes PodMonitors (Prometheus operator) for the operator and for boxes and witnesses."),
      interval: text("Time between two scrapes."),
      labels: words("Labels that your Prometheus selects monitors by."),
    }),
    dashboard: z.strictObject({
      enabled: onOff("Makes a ConfigMap with a Grafana dashboard."),
      labels: words("Labels that Grafana's sidecar looks for."),
    }),
    alerts: z.strictObject({
      enabled: onOff("Makes a PrometheusRule. Every alert links to a runbook."),
      labels: words("Labels that your Prometheus selects rules by."),
      runbooks: text("Where the runbooks are read; put before their file names."),
    }),
  }),
  resources: z
    .strictObject({ requests: words("What the scheduler sets aside."), limits: words("What the operator may use.") })
    .describe("Of one operator. 512Mi suffice for thousands of boxes."),
  fullnameOverride: text("Name of the Deployment. Default: the release's name and `-operator`."),
  priorityClassName: text("Of the operator's pods."),
  podLabels: words("More labels of the operator's pods."),
  podAnnotations: words("More annotations of the operator's pods."),
  nodeSelector: words("Where the operator's pods run."),
  tolerations: z.array(anything("")).max(64).describe("Taints that the operator's pods tolerate."),
  affinity: anything("Of the operator's pods. Default: apart from each other where possible."),
});

export function valuesSchema(): string {
  const global = z.record(z.string(), z.unknown()).optional();
  const schema = z.toJSONSchema(chartValues.extend({ global }), { target: "draft-7" });
  return `${JSON.stringify(schema, null, 2)}\n`;
}

/** `given` is values.yaml. */
export function valuesPage(given: Record<string, unknown>): string {
  const rows = rowsOf(chartValues, given, "");
  const head = [
    `${generatedMark}\n\n# Values of the Helm chart\n`,
    "`helm install nexus charts/nexus -n nexus-system --create-namespace`; each value by `--set name=value` or a file with `-f`.\n",
    "| value | default | meaning |\n|---|---|---|\n",
  ].join("\n");
  return `${head}${rows.join("\n")}\n`;
}

function rowsOf(schema: z.ZodObject, given: Record<string, unknown>, path: string): string[] {
  return Object.entries(schema.shape).flatMap(([key, field]) => {
    const about = (field as z.ZodType).description;
    if (field instanceof z.ZodObject && about === undefined)
      return rowsOf(field, given[key] as Record<string, unknown>, `${path}${key}.`);
    return [`| \`${path}${key}\` | \`${JSON.stringify(given[key])}\` | ${about} |`];
  });
}
