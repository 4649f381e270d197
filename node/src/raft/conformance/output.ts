import type { Logger } from "../types.ts";

const levels: readonly string[] = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE"];

/** What a case prints: the words of the harness and, from the chosen level on, the lines of the nodes' logger. */
export class Output {
  #text = "";
  #level = 0;
  readonly logger: Logger = {
    debug: (line) => this.#log(0, line),
    info: (line) => this.#log(1, line),
    warning: (line) => this.#log(2, line),
    error: (line) => this.#log(3, line),
  };

  get level(): number {
    return this.#level;
  }

  set level(level: number) {
    this.#level = level;
  }

  /** Returns a sentence when there is no such level. */
  setLevel(name: string): string | undefined {
    const level = levels.indexOf(name.toUpperCase());
    if (level < 0) return `log levels must be either of [${levels.join(" ")}]`;
    this.#level = level;
    return undefined;
  }

  /** At level NONE the harness itself is silent too. */
  get quiet(): boolean {
    return this.#level === levels.length - 1;
  }

  write(text: string): void {
    if (!this.quiet) this.#text += text;
  }

  /** Prints what `act` prints, indented. */
  indented<T>(act: () => T): T {
    const outer = this.#text;
    this.#text = "";
    const result = act();
    const lines = this.#text.split("\n");
    if (lines.at(-1) === "") lines.pop();
    this.#text = outer + lines.map((line) => `  ${line}\n`).join("");
    return result;
  }

  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }

  #log(level: number, line: string): void {
    if (this.#level <= level) this.write(`${levels[level]} ${line}\n`);
  }
}
