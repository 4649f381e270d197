// Entry of `kubectl nexus`.
import { countBuffersAsHeap } from "@nexus-federation/node/transport/garbage.ts";
import { CommanderError } from "commander";
import { kubectlNexus } from "./kubectl/program.ts";
import { askedOf } from "./program.ts";
import { printError } from "./tools.ts";

countBuffersAsHeap();
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
process.stderr.on("error", () => {});

try {
  const program = kubectlNexus(process.env["NEXUS_KUBECTL"] || "kubectl");
  await program.parseAsync(askedOf(program, process.argv));
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : 2;
  if (error.exitCode !== 0 && process.argv.includes("--json")) printError("USAGE", error.message);
}
