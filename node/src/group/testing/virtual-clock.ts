import type { Clock, Timer } from "../../base/clock.ts";

interface Due {
  atMs: number;
  order: number;
  fn: (() => void) | undefined;
}

/** Time that moves only when the test says so; what is due at one moment runs in the order in which it was set. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  /** A binary heap by (atMs, order). */
  readonly #heap: Due[] = [];
  wallOffsetMs = 1_700_000_000_000;

  now(): number {
    return this.#nowMs;
  }
  wallMs(): number {
    return Math.floor(this.#nowMs + this.wallOffsetMs);
  }
  after(delayMs: number, fn: () => void): Timer {
    const due: Due = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fn };
    this.#push(due);
    return {
      cancel: () => {
        due.fn = undefined;
      },
    };
  }
  soon(fn: () => void): void {
    this.defer(fn);
  }

  defer(fn: () => void): void {
    this.after(0, fn);
  }

  /** Runs everything due within the next `ms`, letting promises settle in between. */
  async run(ms: number): Promise<void> {
    const until = this.#nowMs + ms;
    while (this.#heap.length > 0 && this.#first().atMs <= until) {
      const due = this.#pop();
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      if (due.fn === undefined) continue;
      due.fn();
      await settled();
    }
    this.#nowMs = until;
  }

  #first(): Due {
    return this.#heap[0] as Due;
  }

  #push(due: Due): void {
    const heap = this.#heap;
    heap.push(due);
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent] as Due, due)) break;
      heap[at] = heap[parent] as Due;
      heap[parent] = due;
      at = parent;
    }
  }

  #pop(): Due {
    const heap = this.#heap;
    const first = heap[0] as Due;
    const last = heap.pop() as Due;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Due, heap[child] as Due)) child++;
      if (isBefore(last, heap[child] as Due)) break;
      heap[at] = heap[child] as Due;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Chains of a few promises run to their end; nothing of a test waits for real I/O. */
async function settled(): Promise<void> {
  for (let i = 0; i < 24; i++) await undefined;
}
