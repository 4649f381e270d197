// `kubectl nexus`: the verbs of `nexus` for a federation in a namespace, and those that only Kubernetes has. The problem:
// boxes in pods are reached by nobody outside, under names that only the cluster resolves, with a token in a Secret. The
// sketch: before a verb that speaks to boxes, kubectl opens a port to each of them, and the verb runs as it always does.
import { version } from "@nexus-federation/node/base/version.ts";
import { Command } from "commander";
import { commandLine } from "../command-line.ts";
import { useContext } from "../context.ts";
import { report as reportError, Tools } from "../tools.ts";
import { backupVerbs } from "../verbs/backup.ts";
import { batchVerbs } from "../verbs/batch.ts";
import { boxVerbs } from "../verbs/box.ts";
import { clusterVerbs } from "../verbs/cluster.ts";
import { fileVerbs } from "../verbs/files.ts";
import { lockVerbs } from "../verbs/locks.ts";
import { watchVerbs } from "../verbs/watch.ts";
import { type AccessFlags, connectTo } from "./federation.ts";
import { intentVerbs } from "./intents.ts";
import { Kubectl, type KubeOptions } from "./kube.ts";
import { recoverVerb } from "./recover.ts";
import { reportVerb } from "./report.ts";
import { statusVerb } from "./status.ts";

/** Verbs that need no box, or see to it themselves. */
const withoutBoxes = ["status", "drain", "fence", "hibernate", "report"];

/** The whole command line, not yet run. `program` is kubectl's name or path. */
export function kubectlNexus(program: string): Command {
  const nexus = new Command("kubectl-nexus")
    .description("A Nexus federation in a namespace: status, hand-overs, intents, recovery, and its files and locks.")
    .version(version)
    .option("-n, --namespace <name>", "namespace of the federation (default: that of the kubeconfig's context)")
    .option("--kubeconfig <file>", "kubeconfig to use")
    .option("--context <name>", "context of the kubeconfig")
    .option("--service-account <name>", "come in as this service account (spec.auth.tokenReview) instead of the owner");
  commandLine(nexus, "kubectl nexus");
  const kubectl = () => new Kubectl(nexus.opts<KubeOptions>(), program);
  for (const register of [statusVerb, intentVerbs, recoverVerb, reportVerb]) register(nexus, kubectl);
  for (const register of [clusterVerbs, boxVerbs, fileVerbs, watchVerbs, batchVerbs, lockVerbs, backupVerbs])
    register(nexus);
  nexus.hook("preAction", async (_nexus, command) => {
    if (withoutBoxes.includes(command.name())) return;
    try {
      useContext(await connectTo(kubectl(), nexus.opts<AccessFlags>()));
    } catch (error) {
      process.exit(reportError(new Tools(command), error));
    }
  });
  return nexus;
}
