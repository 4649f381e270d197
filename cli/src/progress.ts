/** A line on stderr that follows long work; silent when stderr is no terminal or the work is short. */
export class Progress {
  readonly #label: string;
  readonly #total: number | undefined;
  readonly #unit: "bytes" | "files";
  readonly #startedMs = performance.now();
  #shownMs = 0;
  #shown = false;

  constructor(label: string, total: number | undefined, unit: "bytes" | "files" = "bytes") {
    this.#label = label;
    this.#total = total;
    this.#unit = unit;
  }

  at(done: number): void {
    const now = performance.now();
    if (!process.stderr.isTTY || now - this.#startedMs < 500 || now - this.#shownMs < 100) return;
    this.#shownMs = now;
    this.#shown = true;
    const of = this.#total ? ` of ${this.#amount(this.#total)} (${Math.floor((100 * done) / this.#total)} %)` : "";
    const rate = this.#unit === "bytes" ? `, ${this.#amount((1000 * done) / (now - this.#startedMs))}/s` : "";
    process.stderr.write(`\r\x1b[K${this.#label}: ${this.#amount(done)}${of}${rate}`);
  }

  end(): void {
    if (this.#shown) process.stderr.write("\r\x1b[K");
  }

  #amount(value: number): string {
    if (this.#unit === "files") return `${value} files`;
    const units = ["B", "KiB", "MiB", "GiB"];
    let unit = 0;
    let shown = value;
    for (; shown >= 1024 && unit < units.length - 1; unit++) shown /= 1024;
    return `${shown.toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
  }
}
