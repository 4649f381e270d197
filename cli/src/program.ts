// The `nexus` command: one file a family of verbs; tools.ts has what they share.
import { Command } from "commander";
import packageJson from "../package.json" with { type: "json" };
import { durationHelp } from "./durations.ts";
import { backupVerbs } from "./verbs/backup.ts";
import { batchVerbs } from "./verbs/batch.ts";
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
    .option("--timeout <duration>", "time of one call, retries included; a bare number is seconds (default 10s)")
    .addHelpText(
      "after",
      `\nExit codes: 0 done, 1 refused or failed (with the code), 2 wrong usage.\nDurations: ${durationHelp}.`,
    )
    .showHelpAfterError("(nexus --help lists the verbs)")
    .exitOverride();

  for (const register of [
    runtimeVerbs,
    statusVerbs,
    fileVerbs,
    watchVerbs,
    batchVerbs,
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

/**
 * The arguments, without --help when they name a verb that does not exist: help on everything would say that it was
 * understood. `argv` as process.argv.
 */
export function askedOf(program: Command, argv: readonly string[]): string[] {
  const help = argv.findIndex((word, at) => at >= 2 && (word === "--help" || word === "-h"));
  const end = argv.indexOf("--");
  if (help < 0 || (end >= 0 && end < help)) return [...argv];
  let at: Command | undefined = program;
  for (let i = 2; i < help && at !== undefined && at.commands.length > 0; i++) {
    const word = argv[i]!;
    if (word.startsWith("-")) {
      const option = program.options.find(({ short, long }) => short === word || long === word);
      if (option?.required) i++;
      continue;
    }
    if (word === "help") break;
    at = at.commands.find((command) => command.name() === word || command.aliases().includes(word));
  }
  return at === undefined ? argv.filter((_, i) => i !== help) : [...argv];
}
