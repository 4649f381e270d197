// Entry of the `nexus` command.
import { runCommandLine } from "./command-line.ts";
import { nexusProgram } from "./program.ts";

await runCommandLine(nexusProgram());
