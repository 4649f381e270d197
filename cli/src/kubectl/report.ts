// kubectl nexus report: one file with what support needs to see. Values of Secrets are never read: only their names and
// keys are written down.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import { managedSelector } from "@nexus-federation/operator/backends/kubernetes/names.ts";
import type { Command } from "commander";
import { useContext } from "../context.ts";
import { UsageError } from "../durations.ts";
import { jsonValue, type Tools, verb } from "../tools.ts";
import { allStatuses } from "../verbs/cluster.ts";
import { type AccessFlags, connectTo, ownKinds } from "./federation.ts";
import type { Kubectl } from "./kube.ts";

const execute = promisify(execFile);
/** Lines of each log. */
const logLines = 20_000;
/** By name of the file: what is asked of kubectl. */
const questions: Record<string, readonly string[]> = {
  "resources.yaml": ["get", ownKinds.join(","), "-o", "yaml", "--show-managed-fields"],
  "workloads.yaml": [
    ...["get", "statefulsets,pods,services,persistentvolumeclaims,poddisruptionbudgets,configmaps"],
    ...["-l", managedSelector, "-o", "yaml"],
  ],
  "secrets.txt": [
    ...["get", "secrets", "-l", managedSelector, "-o"],
    'go-template={{range .items}}{{.metadata.name}} {{.type}}{{range $key, $value := .data}} {{$key}}{{end}}{{"\\n"}}{{end}}',
  ],
  "events.txt": ["get", "events", "--sort-by=.metadata.creationTimestamp"],
  "leases.yaml": ["get", "leases", "-o", "yaml"],
  "nodes.txt": ["get", "nodes", "-o", "wide"],
  "storage-classes.txt": ["get", "storageclasses"],
  "versions.txt": ["version"],
  "definitions.txt": ["get", "customresourcedefinitions", "-o", "name"],
};

interface Flags {
  operatorNamespace: string;
  boxes: boolean;
}

export function reportVerb(program: Command, kubectl: () => Kubectl): void {
  program
    .command("report [file]")
    .description("a .tar.gz with everything that support needs: resources, events, logs, status; no Secret's value")
    .option("--operator-namespace <name>", "where the operator runs", "nexus-system")
    .option("--no-boxes", "ask the API server only")
    .action(
      verb((tools, file: string | undefined, flags: Flags) => report(tools, { kubectl: kubectl(), file, flags })),
    );
}

async function report(
  tools: Tools,
  { kubectl, file, flags }: { kubectl: Kubectl; file: string | undefined; flags: Flags },
): Promise<void> {
  const name = `nexus-report-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}`;
  const target = resolve(file ?? `${name}.tar.gz`);
  if (existsSync(target)) throw new UsageError(`${target}: exists already; name another file`);
  const root = mkdtempSync(join(tmpdir(), "nexus-report-"));
  try {
    const folder = join(root, name);
    const missing = await collect(kubectl, { folder, operatorNamespace: flags.operatorNamespace });
    if (flags.boxes) missing.push(...(await askBoxes(tools, { kubectl, folder })));
    writeFileSync(join(folder, "missing.txt"), missing.map((line) => `${line}\n`).join(""));
    await execute("tar", ["-czf", target, "-C", dirname(folder), basename(folder)]);
    const more = missing.length > 0 ? `; ${missing.length} parts could not be had (missing.txt)` : "";
    tools.print(`${target}${more}`, { file: target, missing });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Writes what kubectl answers; answers what it does not. */
async function collect(
  kubectl: Kubectl,
  { folder, operatorNamespace }: { folder: string; operatorNamespace: string },
): Promise<string[]> {
  mkdirSync(join(folder, "logs"), { recursive: true });
  const missing: string[] = [];
  const put = async (file: string, args: readonly string[]) => {
    try {
      writeFileSync(join(folder, file), await kubectl.run(args));
    } catch (error) {
      missing.push(`${file}: ${messageOf(error)}`);
    }
  };
  for (const [file, args] of Object.entries(questions)) await put(file, args);
  const pods = await kubectl.get(["pods"], "-l", managedSelector).catch(() => []);
  for (const { metadata } of pods) {
    const log = ["logs", metadata.name, "--timestamps", `--tail=${logLines}`];
    await put(`logs/${metadata.name}.log`, log);
    await put(`logs/${metadata.name}.previous.log`, [...log, "--previous"]);
  }
  const operator = ["-n", operatorNamespace, "logs", "-l", "app.kubernetes.io/name=nexus-operator", "--prefix"];
  await put("logs/operator.log", [...operator, "--timestamps", `--tail=${logLines}`]);
  return missing;
}

async function askBoxes(tools: Tools, { kubectl, folder }: { kubectl: Kubectl; folder: string }): Promise<string[]> {
  try {
    useContext(await connectTo(kubectl, tools.options as AccessFlags));
    const { replies, silent } = await allStatuses(tools);
    writeFileSync(join(folder, "boxes.json"), `${JSON.stringify(replies, jsonValue, 2)}\n`);
    return silent.map((one) => `${one.endpoint}: ${one.problem}`);
  } catch (error) {
    return [`boxes.json: ${messageOf(error)}`];
  }
}
