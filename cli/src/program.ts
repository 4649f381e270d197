// The `nexus` command: one file a family of verbs; tools.ts has what they share.
import { Command } from "commander";
import packageJson from "../package.json" with { type: "json" };
import { backupVerbs } from "./verbs/backup.ts";
import { benchVerbs } from "./verbs/bench.ts";
import { clusterVerbs } from "./verbs/cluster.ts";
import { completionVerbs } from "./verbs/completion.ts";
import { contextVerbs } from "./verbs/context.ts";
import { doctorVerbs } from "./verbs/doctor.ts";
import { fileVerbs } from "./verbs/files.ts";
import { lockVerbs } from "./verbs/locks.ts";
import { runtimeVerbs } from "./verbs/runtime.ts";
import { statusVerbs } from "./verbs/status.ts";
import { watchVerbs } from "./verbs/watch.ts";

/** The whole command line, not yet run. */
export function nexusProgram(): Command {
  const program = new Command("nexus")
    .description("One file tree over several regions; consistency chosen per path; a receipt on every answer.")
    .version(packageJson.version)
    .option("--dir <dir>", "folder of a federation on this machine (default: .nexus/<federation> here or above)")
    .option("--context <name>", "context to use (see nexus context); also NEXUS_CONTEXT")
    .option("--json", "one JSON value on stdout")
    .option("--timeout <duration>", "time of one call, retries included (default 10s)")
    .addHelpText(
      "after",
      "\nExit codes: 0 done, 1 refused or failed (with the code), 2 wrong usage.\nDurations: 500ms, 10s, 2m.",
    )
    .showHelpAfterError("(nexus --help lists the verbs)")
    .exitOverride();

  for (const register of [
    runtimeVerbs,
    statusVerbs,
    fileVerbs,
    watchVerbs,
    lockVerbs,
    clusterVerbs,
    backupVerbs,
    benchVerbs,
    doctorVerbs,
    contextVerbs,
    completionVerbs,
  ]) {
    register(program);
  }
  for (const command of program.commands) {
    command.exitOverride();
    for (const below of command.commands) below.exitOverride();
  }
  return program;
}
