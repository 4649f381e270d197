import type { Clock, Timer } from "./clock.ts";

/** Quiet after which a box that owes answers is asked whether it is there, ms. Doubles with each time that it was. */
const askAfterMs = { first: 100, most: 1000 };
/** Time for that answer beyond the way there and back, ms; less when there is a reason to think that it hangs. */
const answerMs = { usual: 150, doubted: 40 };
/** Added for the way: so many times the shortest round trip seen of late, as delays vary more on long links. */
const waysPerAnswer = 2;
/** Added while no round trip was seen, ms. */
const unknownWayMs = 400;
/** Round trips remembered; a link that became longer is known for it when all are from then. */
const samplesMax = 8;
/** Questions without answer whose time is remembered. */
const questionsMax = 16;
/** The lowest number of a question; no request has so large an id. */
const questionIdMin = 2 ** 40;

export interface SilenceNeeds {
  owes: () => boolean;
  /** Sends the question; what answers it names its id to `answered`. */
  ask: (id: number) => void;
  /** Told once that a question stayed without an answer. */
  silent: () => void;
}

/**
 * Tells a box that hangs from one that takes its time. A process that is stopped, or cut off, keeps its connections, and
 * TCP notices after seconds; meanwhile other boxes elect and serve. So a stream that owes answers and is quiet gets a
 * small question that any turning event loop answers at once; how long that may take is learnt from how long it took
 * before, since a box may be next door or beyond an ocean. No connection is closed for it: a box that only was slow is used
 * again with its next word.
 */
export class Silence {
  readonly #clock: Clock;
  readonly #needs: SilenceNeeds;
  #timer: Timer | undefined;
  #sinceMs = 0;
  #askAfterMs = askAfterMs.first;
  #isAsked = false;
  #isSilent = false;
  /** When the questions under way were asked, by id. */
  readonly #asked = new Map<number, number>();
  #nextId = questionIdMin;
  readonly #roundTripsMs: number[] = [];

  constructor(clock: Clock, needs: SilenceNeeds) {
    this.#clock = clock;
    this.#needs = needs;
  }

  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** Something was sent that will be answered. */
  sent(): void {
    if (this.#timer !== undefined && (this.#askAfterMs === askAfterMs.first || this.#isAsked)) return;
    this.#timer?.cancel();
    this.#sinceMs = this.#clock.now();
    this.#askAfterMs = askAfterMs.first;
    if (this.#roundTripsMs.length === 0) return this.#askNow(answerMs.usual);
    this.#wait(this.#askAfterMs);
  }

  /** Something that answers a request or question came; of a question it tells how far the box is. */
  answered(id: number): void {
    const askedMs = this.#asked.get(id);
    if (askedMs === undefined) return;
    this.#asked.delete(id);
    this.#roundTripsMs.push(this.#clock.now() - askedMs);
    if (this.#roundTripsMs.length > samplesMax) this.#roundTripsMs.shift();
  }

  /** Anything came. */
  heard(): void {
    this.#sinceMs = this.#clock.now();
    this.#isSilent = false;
    if (!this.#isAsked) return;
    this.#isAsked = false;
    this.#timer?.cancel();
    this.#wait(this.#askAfterMs);
    this.#askAfterMs = Math.min(askAfterMs.most, this.#askAfterMs * 2);
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
    const id = this.#nextId++;
    this.#asked.set(id, this.#clock.now());
    if (this.#asked.size > questionsMax) this.#asked.delete(id - questionsMax);
    this.#needs.ask(id);
    this.#wait(withinMs + this.#wayMs());
  }

  #wayMs(): number {
    return this.#roundTripsMs.length === 0 ? unknownWayMs : waysPerAnswer * Math.min(...this.#roundTripsMs);
  }

  #wait(delayMs: number): void {
    // What came while this process was busy is read before it is judged.
    const timer = this.#clock.after(delayMs, () =>
      this.#clock.defer(() => {
        if (this.#timer === timer) this.#look();
      }),
    );
    this.#timer = timer;
  }

  #look(): void {
    this.#timer = undefined;
    // What was asked may be lost for good; its next word must not depend on somebody else's request.
    if (this.#isSilent) return this.#askNow(answerMs.usual);
    if (!this.#needs.owes()) return;
    const leftMs = this.#askAfterMs - (this.#clock.now() - this.#sinceMs);
    if (!this.#isAsked && leftMs > 0) return this.#wait(Math.max(1, leftMs));
    if (!this.#isAsked) return this.#askNow(answerMs.usual);
    this.#isSilent = true;
    this.#needs.silent();
    this.#wait(answerMs.usual + this.#wayMs());
  }
}
