import { type Refusal, refuse } from "../base/errors.ts";

/** `index` is the read point when there is no refusal. */
export type ReadDone = (refusal: Refusal | undefined, index: number) => void;

interface Read {
  deadlineMs: number;
  done: ReadDone;
}

interface Round {
  sentMs: number;
  reads: Read[];
}

interface Confirmed {
  index: number;
  reads: Read[];
}

/** Rounds of ReadIndex under way at once; calls of later turns gather in the next one. */
const roundsMax = 4;

/**
 * Read points. All calls of a turn share one ReadIndex; none joins a round that has started, since that may have seen
 * the commit index before the call. A round without an answer (no leader yet, a lost message) is asked again.
 */
export class ReadQueue {
  #waiting: Read[] = [];
  readonly #rounds = new Map<number, Round>();
  #confirmed: Confirmed[] = [];
  #next: number;
  readonly #countMax: number;
  #count = 0;
  #earliestMs = Number.POSITIVE_INFINITY;

  /** `first` is drawn at random: an answer to a former life of this replica must not match. */
  constructor(countMax: number, first: number) {
    this.#countMax = countMax;
    this.#next = first;
  }

  get count(): number {
    return this.#count;
  }

  add(deadlineMs: number, done: ReadDone): void {
    if (this.#count >= this.#countMax) {
      done(refuse("OVERLOADED", `More than ${this.#countMax} reads wait at this log.`, { retryAfterMs: 100 }), 0);
      return;
    }
    this.#count++;
    this.#waiting.push({ deadlineMs, done });
    if (deadlineMs < this.#earliestMs) this.#earliestMs = deadlineMs;
  }

  /** Starts a round with what gathered; `ask` gets its context. */
  flush(nowMs: number, ask: (context: Uint8Array) => void): void {
    if (this.#waiting.length === 0 || this.#rounds.size >= roundsMax) return;
    const number = this.#next++;
    this.#rounds.set(number, { sentMs: nowMs, reads: this.#waiting });
    this.#waiting = [];
    const context = new Uint8Array(8);
    new DataView(context.buffer).setFloat64(0, number);
    ask(context);
  }

  /** The core confirmed a round: its reads are answered once `index` is applied. */
  confirm(context: Uint8Array, index: number): void {
    if (context.length !== 8) return;
    const number = new DataView(context.buffer, context.byteOffset, 8).getFloat64(0);
    const round = this.#rounds.get(number);
    if (round === undefined) return;
    this.#rounds.delete(number);
    this.#confirmed.push({ index, reads: round.reads });
  }

  applied(index: number): void {
    if (this.#confirmed.length === 0) return;
    const reached = this.#confirmed.filter((round) => round.index <= index);
    if (reached.length === 0) return;
    this.#confirmed = this.#confirmed.filter((round) => round.index > index);
    for (const round of reached) {
      this.#count -= round.reads.length;
      for (const read of round.reads) read.done(undefined, round.index);
    }
  }

  /** Asks again for rounds unanswered for `afterMs`; true when there is something to flush. */
  retry(nowMs: number, afterMs: number): boolean {
    for (const [number, round] of this.#rounds) {
      if (round.sentMs + afterMs > nowMs) continue;
      this.#rounds.delete(number);
      this.#waiting.push(...round.reads);
    }
    return this.#waiting.length > 0;
  }

  expire(nowMs: number, refusal: () => Refusal): void {
    if (nowMs < this.#earliestMs) return;
    this.#refuse((read) => read.deadlineMs <= nowMs, refusal);
    this.#earliestMs = Number.POSITIVE_INFINITY;
    for (const list of this.#lists()) {
      for (const { deadlineMs } of list) if (deadlineMs < this.#earliestMs) this.#earliestMs = deadlineMs;
    }
  }

  abandon(refusal: Refusal): void {
    this.#refuse(
      () => true,
      () => refusal,
    );
  }

  *#lists(): Iterable<Read[]> {
    yield this.#waiting;
    for (const round of this.#rounds.values()) yield round.reads;
    for (const round of this.#confirmed) yield round.reads;
  }

  #refuse(leaves: (read: Read) => boolean, refusal: () => Refusal): void {
    const leaving: Read[] = [];
    for (const list of this.#lists()) {
      for (let i = list.length - 1; i >= 0; i--) {
        const read = list[i] as Read;
        if (!leaves(read)) continue;
        leaving.push(read);
        list.splice(i, 1);
      }
    }
    this.#count -= leaving.length;
    for (const read of leaving) read.done(refusal(), 0);
  }
}
