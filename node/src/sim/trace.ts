import type { Clock } from "../base/clock.ts";

const fnvOffset = 0x811c9dc5;
const fnvPrime = 0x01000193;

/** What happened in a run, as a running hash: two runs of one seed must agree on every note. */
export class Trace {
  /** Also keeps notes and log lines as text. */
  readonly verbose: boolean;
  readonly lines: string[] = [];
  count = 0;
  readonly #clock: Pick<Clock, "now">;
  #hash = fnvOffset;

  constructor(clock: Pick<Clock, "now">, verbose: boolean) {
    this.#clock = clock;
    this.verbose = verbose;
  }

  note(...parts: (string | number)[]): void {
    this.count++;
    this.#mix(this.#clock.now());
    for (const part of parts) {
      if (typeof part === "number") this.#mix(part);
      else for (let i = 0; i < part.length; i++) this.#mix(part.charCodeAt(i));
    }
    if (this.verbose) this.lines.push(`${this.#clock.now().toFixed(2)} ${parts.join(" ")}`);
  }

  /** Text for people, no part of the hash. */
  say(...parts: string[]): void {
    if (this.verbose) this.lines.push(`${this.#clock.now().toFixed(2)} . ${parts.join(" ")}`);
  }

  get hash(): string {
    return this.#hash.toString(16).padStart(8, "0");
  }

  #mix(value: number): void {
    const whole = Math.trunc(value);
    this.#hash = Math.imul(this.#hash ^ (whole & 0xffff), fnvPrime) >>> 0;
    this.#hash = Math.imul(this.#hash ^ ((value - whole) * 65_536), fnvPrime) >>> 0;
    this.#hash = Math.imul(this.#hash ^ ((whole / 65_536) | 0), fnvPrime) >>> 0;
  }
}
