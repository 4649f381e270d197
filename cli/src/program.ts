// The `nexus` command: one file a family of verbs; tools.ts has what they share.
import { version } from "@nexus-federation/node/base/version.ts";
import { Command } from "commander";
import { commandLine } from "./command-line.ts";
import { backupVerbs } from "./verbs/backup.ts";
import { batchVerbs } from "./verbs/batch.ts";
import { benchVerbs } from "./verbs/bench.ts";
import { boxVerbs } from "./verbs/box.ts";
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
    .version(version)
    .option("--dir <dir>", "folder of a federation on this machine (default: .nexus/<federation> here or above)")
    .option("--context <name>", "context to use (see nexus context); also NEXUS_CONTEXT");
  commandLine(program, "nexus");
  for (const register of [
    runtimeVerbs,
    statusVerbs,
    fileVerbs,
    watchVerbs,
    batchVerbs,
    lockVerbs,
    clusterVerbs,
    boxVerbs,
    backupVerbs,
    benchVerbs,
    doctorVerbs,
    contextVerbs,
    completionVerbs,
  ]) {
    register(program);
  }
  return program;
}
