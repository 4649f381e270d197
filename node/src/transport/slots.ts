/** A bounded number at work and a bounded number waiting, first come first served. */
export class Slots {
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #runningMax: number;
  readonly #waitingMax: number;

  constructor(runningMax: number, waitingMax: number) {
    this.#runningMax = runningMax;
    this.#waitingMax = waitingMax;
  }

  /** False at once when too many wait; otherwise true when the caller may work, who must `leave` afterwards. */
  async enter(): Promise<boolean> {
    if (this.#running < this.#runningMax) {
      this.#running++;
      return true;
    }
    if (this.#waiting.length >= this.#waitingMax) return false;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return true;
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running--;
    else next();
  }
}
