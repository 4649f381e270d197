import type { Random } from "./clock.ts";

export interface BackoffSettings {
  firstMs: number;
  maxMs: number;
  /** Factor from one delay to the next. */
  factor: number;
}

/** Exponential delays with full jitter in the upper half: delay in [d/2, d], d = first * factor^n up to max. */
export class Backoff {
  #attempts = 0;
  readonly #settings: BackoffSettings;
  readonly #random: Random;

  constructor(random: Random, settings: BackoffSettings) {
    this.#random = random;
    this.#settings = settings;
  }
  get attempts(): number {
    return this.#attempts;
  }
  nextMs(): number {
    const { firstMs, maxMs, factor } = this.#settings;
    const full = Math.min(maxMs, firstMs * factor ** Math.min(this.#attempts, 64));
    this.#attempts++;
    return full / 2 + (full / 2) * this.#random.unit();
  }
  reset(): void {
    this.#attempts = 0;
  }
}
