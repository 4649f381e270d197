import { oneLine } from "./show.ts";

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
    const passedMs = now - this.#startedMs;
    const text = progressText({ done, total: this.#total, unit: this.#unit, passedMs });
    process.stderr.write(`\r\x1b[K${oneLine(this.#label)}: ${text}`);
  }

  end(): void {
    if (this.#shown) process.stderr.write("\r\x1b[K");
  }
}

/** How far the work is: "10.8 MiB of 143.1 MiB (7 %), 21.3 MiB/s", "69 of 300 files (23 %)". */
export function progressText(at: {
  done: number;
  total: number | undefined;
  unit: "bytes" | "files";
  passedMs: number;
}): string {
  const { done, total, unit, passedMs } = at;
  const part = total ? ` (${Math.floor((100 * done) / total)} %)` : "";
  if (unit === "files") return `${done}${total ? ` of ${total}` : ""} files${part}`;
  return `${bytesText(done)}${total ? ` of ${bytesText(total)}` : ""}${part}, ${bytesText((1000 * done) / passedMs)}/s`;
}

function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  let shown = bytes;
  for (; shown >= 1024 && unit < units.length - 1; unit++) shown /= 1024;
  return `${shown.toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
}
