import type { Clock, Timer } from "./clock.ts";

/** Quiet after which a box that owes answers is asked whether it is there, ms. Doubles with each time that it was. */
const askAfterMs = { first: 100, most: 1000 };
/** Time for that answer, ms; less when there is a reason to think that it hangs. */
const answerMs = { usual: 150, doubted: 40 };

/**
 * Tells a box that hangs from one that takes its time. A process that is stopped, or cut off, keeps its connections, and
 * TCP notices after seconds; meanwhile other boxes elect and serve. So a stream that owes answers and is quiet gets a
 * small question that any turning event loop answers at once. No connection is closed for it: a box that only was slow is
 * used again with its next word.
 */
export class Silence {
  readonly #clock: Clock;
  readonly #needs: { owes: () => boolean; ask: () => void; silent: () => void };
  #timer: Timer | undefined;
  #sinceMs = 0;
  #askAfterMs = askAfterMs.first;
  #isAsked = false;
  #isSilent = false;

  /** `ask` sends the question, `silent` is told once that it stayed without an answer. */
  constructor(clock: Clock, needs: { owes: () => boolean; ask: () => void; silent: () => void }) {
    this.#clock = clock;
    this.#needs = needs;
  }

  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** Something was sent that will be answered. */
  sent(): void {
    this.#askAfterMs = askAfterMs.first;
    if (this.#timer !== undefined) return;
    this.#sinceMs = this.#clock.now();
    this.#isAsked = false;
    this.#wait(this.#askAfterMs);
  }

  /** Anything came. */
  heard(): void {
    this.#sinceMs = this.#clock.now();
    if (this.#isAsked) this.#askAfterMs = Math.min(askAfterMs.most, this.#askAfterMs * 2);
    this.#isAsked = false;
    this.#isSilent = false;
  }

  /** There is a reason to think that the box hangs: it is asked now, and has less time. */
  doubt(): void {
    if (this.#isSilent || !this.#needs.owes()) return;
    this.#timer?.cancel();
    this.#askNow(answerMs.doubted);
  }

  end(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #askNow(withinMs: number): void {
    this.#isAsked = true;
    this.#needs.ask();
    this.#wait(withinMs);
  }

  #wait(delayMs: number): void {
    // What came while this process was busy is read before it is judged.
    this.#timer = this.#clock.after(delayMs, () => this.#clock.defer(() => this.#look()));
  }

  #look(): void {
    if (this.#timer === undefined) return;
    this.#timer = undefined;
    if (this.#isSilent) {
      // What was asked may be lost for good; its next word must not depend on somebody else's request.
      this.#needs.ask();
      return this.#wait(answerMs.usual);
    }
    if (!this.#needs.owes()) return;
    const leftMs = this.#askAfterMs - (this.#clock.now() - this.#sinceMs);
    if (!this.#isAsked && leftMs > 0) return this.#wait(Math.max(1, leftMs));
    if (!this.#isAsked) return this.#askNow(answerMs.usual);
    this.#isSilent = true;
    this.#needs.silent();
    this.#wait(answerMs.usual);
  }
}
