import { parseArgs } from "node:util";
import { messageOf, NexusError } from "@nexus-federation/node/base/errors.ts";
import { z } from "zod";

const name = z.string().regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, "a DNS label is expected");

/** Flags of the operator; those with an environment variable stand there when the flag does not. */
const operatorSettings = z.strictObject({
  namespace: z.array(name).max(1_000).default([]).describe("Namespaces to work in; none: all."),
  cluster: name
    .default("default")
    .describe("Name of this cluster: only boxes that say it in spec.cluster are run here."),
  kubeconfig: z.string().default("").describe("File; empty: KUBECONFIG, ~/.kube/config or the pod's service account."),
  nodeImage: z.string().min(1).max(512).describe("Image of data boxes that name none (NEXUS_NODE_IMAGE)."),
  witnessImage: z.string().min(1).max(512).describe("Image of witnesses that name none (NEXUS_WITNESS_IMAGE)."),
  imagePullSecret: z.array(z.string().max(253)).max(8).default([]).describe("Pull secrets of the boxes' pods."),
  port: z.coerce.number().int().min(0).max(65_535).default(8080).describe("Plain HTTP: /healthz, /readyz."),
  metricsPort: z.coerce.number().int().min(0).max(65_535).default(8081).describe("Plain HTTP: /metrics."),
  letGo: z
    .boolean()
    .default(false)
    .describe("Takes the finalizers off every object and ends: what an uninstallation does last."),
  log: z.enum(["debug", "info", "warn", "error"]).default("info").describe("Least level that is logged."),
});
export type OperatorSettings = Readonly<z.infer<typeof operatorSettings>>;

const flags = {
  namespace: { type: "string", multiple: true },
  cluster: { type: "string" },
  kubeconfig: { type: "string" },
  "node-image": { type: "string" },
  "witness-image": { type: "string" },
  "image-pull-secret": { type: "string", multiple: true },
  port: { type: "string" },
  "metrics-port": { type: "string" },
  log: { type: "string" },
  "let-go": { type: "boolean" },
} as const;

/** What `--help` says. */
export function operatorHelp(): string {
  const rows = Object.entries(operatorSettings.shape).map(([key, field]): [string, string] => {
    const name = kebab(key);
    const takesValue = !(name in flags) || flags[name as keyof typeof flags].type === "string";
    return [`--${name}${takesValue ? " VALUE" : ""}`, field.description ?? ""];
  });
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  const lines = rows.map(([left, right]) => `  ${left.padEnd(width)}${right}`);
  return ["operator [OPTIONS]", "Runs the federations of its namespaces on Kubernetes.", "", ...lines, ""].join("\n");
}

const kebab = (key: string) => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Throws INVALID with a message that names the flag. */
export function readOperatorSettings(
  argv: readonly string[],
  environment: Record<string, string | undefined>,
): OperatorSettings {
  const { values } = valuesIn(argv);
  const parsed = operatorSettings.safeParse({
    namespace: split(values.namespace),
    cluster: values.cluster,
    kubeconfig: values.kubeconfig,
    nodeImage: values["node-image"] ?? environment["NEXUS_NODE_IMAGE"],
    witnessImage: values["witness-image"] ?? environment["NEXUS_WITNESS_IMAGE"],
    imagePullSecret: split(values["image-pull-secret"]),
    port: values.port,
    metricsPort: values["metrics-port"],
    log: values.log,
    letGo: values["let-go"],
  });
  if (parsed.success) return Object.freeze(parsed.data);
  const issue = parsed.error.issues[0];
  throw new NexusError("INVALID", `--${kebab(String(issue?.path[0] ?? "flags"))}: ${issue?.message ?? "unreadable"}`);
}

function valuesIn(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: flags, allowPositionals: false });
  } catch (cause) {
    const text = messageOf(cause).split(". ")[0];
    throw new NexusError("INVALID", `${text}; --help lists what there is`, { cause });
  }
}

function split(values: readonly string[] | undefined): string[] | undefined {
  return values?.flatMap((value) => value.split(",")).filter((value) => value !== "");
}
