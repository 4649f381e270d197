// Entry of `kubectl nexus`.
import { runCommandLine } from "./command-line.ts";
import { kubectlNexus } from "./kubectl/program.ts";

await runCommandLine(kubectlNexus(process.env["NEXUS_KUBECTL"] || "kubectl"));
