import type { Clock } from "../base/clock.ts";
import { noOptions } from "./ask.ts";
import type { Forward } from "./ports.ts";

/** A measurement older than that is made again when somebody asks, ms. */
const ageMaxMs = 10_000;
/** No answer by then is no measurement, ms. */
const timeoutMs = 1_000;

interface Measured {
  ms: number | undefined;
  askedMs: number;
}

/** How far other boxes are, as measured: a small question each, sent only while somebody wants to know. */
export class RoundTrips {
  readonly #forward: Forward;
  readonly #clock: Clock;
  readonly #measured = new Map<string, Measured>();

  constructor(forward: Forward, clock: Clock) {
    this.#forward = forward;
    this.#clock = clock;
  }

  /** Last round trip, ms; undefined while none was measured. Asking keeps it current. */
  to(box: string): number | undefined {
    const now = this.#clock.now();
    const known = this.#measured.get(box);
    if (known !== undefined && now - known.askedMs < ageMaxMs) return known.ms;
    if (this.#forward.isUp(box)) this.#measure(box, { ms: known?.ms, askedMs: now });
    return known?.ms;
  }

  #measure(box: string, measured: Measured): void {
    this.#measured.set(box, measured);
    const op = { $case: "hasChunks" as const, value: { log: 0, addresses: [] } };
    this.#forward.send(box, { id: 0, options: { ...noOptions, timeoutMs }, zone: "", op }, timeoutMs, (outcome) => {
      measured.ms = outcome.kind === "answer" ? this.#clock.now() - measured.askedMs : undefined;
    });
  }
}
