// Entry of the `nexus` command.
import { countBuffersAsHeap } from "@nexus-federation/node/transport/garbage.ts";
import { CommanderError } from "commander";
import { askedOf, nexusProgram } from "./program.ts";
import { printError } from "./tools.ts";

countBuffersAsHeap();
// Who reads has gone: nothing is left to do. Any other fault of the output (a full disk) is a failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") process.stderr.write(`nexus: standard output: ${error.message}\n`);
  process.exit(error.code === "EPIPE" ? 0 : 1);
});
process.stderr.on("error", () => {});

try {
  const program = nexusProgram();
  await program.parseAsync(askedOf(program, process.argv));
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : 2;
  // Commander has told people already; the options themselves may be what it did not understand.
  if (error.exitCode !== 0 && process.argv.includes("--json")) printError("USAGE", error.message);
}
