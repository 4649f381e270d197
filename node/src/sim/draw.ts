import type { Random } from "../base/clock.ts";

/** Choices out of one stream of chance. */
export class Draw {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }
  unit(): number {
    return this.#random.unit();
  }
  chance(share: number): boolean {
    return this.#random.unit() < share;
  }
  below(limit: number): number {
    return Math.floor(this.#random.unit() * limit);
  }
  between(least: number, most: number): number {
    return least + Math.floor(this.#random.unit() * (most - least));
  }
  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }
  /** One of them, each as often as its weight says. */
  weighted<T>(choices: readonly (readonly [number, T])[]): T {
    let left = this.unit() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, choice] of choices) {
      left -= weight;
      if (left < 0) return choice;
    }
    return (choices.at(-1) as readonly [number, T])[1];
  }
}
