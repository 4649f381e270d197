/** Queues shorter than this are not judged: what they hold is done in no time, and says little of the pace. */
const waitingMin = 256;
/** The pace is that of the last so many ms, ... */
const sampleMs = 100;
/** ... with this share of what it was before. */
const keptShare = 0.5;

/** How long what is queued now will wait, from how fast the queue was worked off lately. Only measured while there is one. */
export class Pace {
  #sinceMs = 0;
  #doneThen = 0;
  #perMs = 0;
  #isMeasured = false;

  /** `waiting`: in the queue now; `done`: worked off since ever. 0 while nothing speaks for a wait. */
  waitMs(nowMs: number, waiting: number, done: number): number {
    const isShort = waiting < waitingMin;
    if (isShort || !this.#isMeasured) {
      this.#isMeasured = !isShort;
      this.#perMs = 0;
      this.#begin(nowMs, done);
      return 0;
    }
    const pastMs = nowMs - this.#sinceMs;
    if (pastMs >= sampleMs) {
      const perMs = (done - this.#doneThen) / pastMs;
      this.#perMs = this.#perMs === 0 ? perMs : this.#perMs * keptShare + perMs * (1 - keptShare);
      this.#begin(nowMs, done);
    }
    return this.#perMs === 0 ? 0 : waiting / this.#perMs;
  }

  #begin(nowMs: number, done: number): void {
    this.#sinceMs = nowMs;
    this.#doneThen = done;
  }
}
