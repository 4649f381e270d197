// Flags of the scripts that are no part of the product. parseArgs alone answers `--help` and a slip of the finger with a
// stack trace; here both end with sentences, as the product's own commands do.
import { parseArgs } from "node:util";
import { messageOf } from "../node/src/base/errors.ts";

/** A switch has no value; a count is a whole number with what it is when it is not given. */
export type Flag =
  | { about: string }
  | { about: string; value: string; default?: string }
  | { about: string; count: number; least?: number };

type Value<F extends Flag> = F extends { count: number }
  ? number
  : F extends { value: string; default: string }
    ? string
    : F extends { value: string }
      ? string | undefined
      : boolean;

export interface Script<F extends Record<string, Flag>> {
  /** As it is typed. */
  command: string;
  /** Sentences at the head of the help. */
  about: string;
  flags: F;
  /** Words that may follow, with what each does; none: no words. */
  words?: Readonly<Record<string, string>>;
  /** Below the flags in the help. */
  more?: string;
}

export interface Read<F extends Record<string, Flag>> {
  flags: { [K in keyof F]: Value<F[K]> };
  /** The word that was given. */
  word: string | undefined;
}

/** Reads the flags of this process. `--help` prints the help and ends with 0, what is not understood with a sentence and 2. */
export function readFlags<const F extends Record<string, Flag>>(script: Script<F>): Read<F> {
  try {
    const read = readFrom(process.argv.slice(2), script);
    if (read !== undefined) return read;
    process.stdout.write(helpOf(script));
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${messageOf(error)}; ${script.command} --help lists what there is\n`);
    process.exit(2);
  }
}

/** Undefined when the help is asked for. Throws one sentence. */
export function readFrom<const F extends Record<string, Flag>>(
  argv: readonly string[],
  { flags, words }: Script<F>,
): Read<F> | undefined {
  const options: Record<string, { type: "string" | "boolean" }> = { help: { type: "boolean" } };
  for (const [name, flag] of Object.entries(flags)) options[name] = { type: takesValue(flag) ? "string" : "boolean" };
  if (argv.includes("--help")) return undefined;
  const { values, positionals } = parsed(argv, options);
  const out: Record<string, string | number | boolean | undefined> = {};
  for (const [name, flag] of Object.entries(flags)) out[name] = givenOr(name, flag, values[name]);
  const [word, second] = positionals;
  if (word !== undefined && !Object.hasOwn(words ?? {}, word)) throw new Error(`"${word}" is not understood`);
  if (second !== undefined) throw new Error(`"${second}": one word is enough`);
  return { flags: out as Read<F>["flags"], word };
}

function takesValue(flag: Flag): boolean {
  return "value" in flag || "count" in flag;
}

function parsed(argv: readonly string[], options: Record<string, { type: "string" | "boolean" }>) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (error) {
    // Node adds advice for programs whose arguments may begin with a dash.
    throw new Error(
      messageOf(error)
        .split(". ")[0]
        ?.replace(/[.\n].*$/s, ""),
      { cause: error },
    );
  }
}

function givenOr(name: string, flag: Flag, given: string | boolean | undefined): string | number | boolean | undefined {
  if ("count" in flag) {
    const count = given === undefined ? flag.count : Number(given);
    const least = flag.least ?? 1;
    if (Number.isSafeInteger(count) && count >= least) return count;
    throw new Error(`--${name}: a whole number from ${least} is expected, not "${given}"`);
  }
  return "value" in flag ? (given ?? flag.default) : given === true;
}

export function helpOf({ command, about, flags, words = {}, more }: Script<Record<string, Flag>>): string {
  const rows = Object.entries(flags).map(([name, flag]): [string, string] => {
    const value = "value" in flag ? ` ${flag.value}` : "count" in flag ? " N" : "";
    const otherwise = "count" in flag ? flag.count : "value" in flag ? flag.default : undefined;
    return [
      `--${name}${value}`,
      otherwise === undefined || otherwise === "" ? flag.about : `${flag.about} (${otherwise})`,
    ];
  });
  rows.push(["--help", "this"]);
  const all = [...Object.entries(words), ...rows];
  const width = Math.max(...all.map(([left]) => left.length)) + 2;
  const lines = (list: readonly [string, string][]) => list.map(([left, right]) => `  ${left.padEnd(width)}${right}\n`);
  const usage = `${command}${Object.keys(words).length > 0 ? " [WORD]" : ""} [OPTIONS]\n`;
  return [
    usage,
    `${about}\n\n`,
    ...lines(Object.entries(words)),
    ...lines(rows),
    more === undefined ? "" : `\n${more}\n`,
  ].join("");
}
