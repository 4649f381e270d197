// What `nexus` and `kubectl nexus` do alike: options of every verb, help, exit codes, and what becomes of a reader that goes.
import { countBuffersAsHeap } from "@nexus-federation/node/transport/garbage.ts";
import { type Command, CommanderError } from "commander";
import { durationHelp } from "./durations.ts";
import { printError } from "./tools.ts";

/** Adds what both have; `name` is what people type. Verbs that are registered afterwards end as the program does. */
export function commandLine(program: Command, name: string): Command {
  return program
    .option("--json", "one JSON value on stdout")
    .option("--timeout <duration>", "time of one call, retries included; a bare number is seconds (default 10s)")
    .addHelpText(
      "after",
      `\nExit codes: 0 done, 1 refused or failed (with the code), 2 wrong usage.\nDurations: ${durationHelp}.`,
    )
    .showHelpAfterError(`(${name} --help lists the verbs)`)
    .exitOverride();
}

/** Runs it with this process's arguments, to the end of its output. */
export async function runCommandLine(program: Command): Promise<void> {
  countBuffersAsHeap();
  // Who reads has gone: nothing is left to do. Any other fault of the output (a full disk) is a failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") process.stderr.write(`nexus: standard output: ${error.message}\n`);
    process.exit(error.code === "EPIPE" ? 0 : 1);
  });
  process.stderr.on("error", () => {});
  try {
    await program.parseAsync(askedOf(program, process.argv));
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : 2;
    // Commander has told people already; the options themselves may be what it did not understand.
    if (error.exitCode !== 0 && process.argv.includes("--json")) printError("USAGE", error.message);
  }
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
