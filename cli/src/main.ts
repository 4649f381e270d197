// Entry of the `nexus` command.
import { countBuffersAsHeap } from "@nexus-federation/node/transport/garbage.ts";
import { CommanderError } from "commander";
import { nexusProgram } from "./program.ts";
import { printError } from "./tools.ts";

countBuffersAsHeap();
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

try {
  await nexusProgram().parseAsync(process.argv);
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : 2;
  // Commander has told people already; the options themselves may be what it did not understand.
  if (error.exitCode !== 0 && process.argv.includes("--json")) printError("USAGE", error.message);
}
