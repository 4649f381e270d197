/** One argument of a directive: `key`, `key=value` or `key=(value,value)`. */
export interface Argument {
  readonly key: string;
  readonly values: readonly string[];
}

/** One case of a data-driven file. State lives from case to case within a file. */
export interface Directive {
  /** 1-based line of the command, for failure messages. */
  readonly line: number;
  readonly command: string;
  readonly args: readonly Argument[];
  readonly input: string;
  /** The output that is asked for, each line with its newline. */
  readonly expected: string;
}

/** Reads the format of cockroachdb/datadriven: comments, directive, input, `----`, expected output. */
export function parseFile(text: string): Directive[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const directives: Directive[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = (lines[at] ?? "").trim();
    if (line === "" || line.startsWith("#")) {
      at++;
      continue;
    }
    const start = at + 1;
    let command = line;
    while (command.endsWith("\\")) command = `${command.slice(0, -1)} ${(lines[++at] ?? "").trim()}`;
    at++;
    const input: string[] = [];
    for (; at < lines.length && lines[at] !== "----"; at++) input.push(lines[at] ?? "");
    at++;
    const expected: string[] = [];
    if (lines[at] === "----") {
      for (at++; at < lines.length && !(lines[at] === "----" && lines[at + 1] === "----"); at++) {
        expected.push(lines[at] ?? "");
      }
      at += 2;
    } else {
      for (; at < lines.length && (lines[at] ?? "").trim() !== ""; at++) expected.push(lines[at] ?? "");
    }
    const output = expected.map((row) => `${row}\n`).join("");
    directives.push({ line: start, ...parseCommand(command), input: input.join("\n").trim(), expected: output });
  }
  return directives;
}

/** All values given for `key`, over all arguments of that name. */
export function valuesOf(directive: Directive, key: string): readonly string[] {
  return directive.args.filter((argument) => argument.key === key).flatMap(({ values }) => values);
}

/** The arguments without values that are numbers. */
export function numbersOf(directive: Directive): number[] {
  return directive.args.filter(({ values }) => values.length === 0).map(({ key }) => Number(key));
}

/** What a case printed, as a file would hold it. */
export function asOutput(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}

/** Output without the lines of the logger. */
export function withoutLog(text: string): string {
  return text.replaceAll(/^ *(DEBUG|INFO|WARN|ERROR) .*\n/gm, "");
}

function parseCommand(text: string): { command: string; args: Argument[] } {
  const words = text.match(/[^\s=]+(?:=\([^)]*\)|=\S*)?/g) ?? [];
  const [command = "", ...rest] = words;
  return { command, args: rest.map(parseArgument) };
}

function parseArgument(word: string): Argument {
  const equals = word.indexOf("=");
  if (equals < 0) return { key: word, values: [] };
  const value = word.slice(equals + 1);
  const list = value.length > 2 && value.startsWith("(") && value.endsWith(")");
  const values = list ? value.slice(1, -1).split(",") : [value];
  return { key: word.slice(0, equals), values: values.map((item) => item.trim()) };
}
