import type { Clock } from "../base/clock.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { Pace } from "../base/pace.ts";
import type { BoxLimits } from "./limits.ts";

/** Pause advised to those who come too many, ms. */
const retryAfterMs = 50;
/** Longest pause advised to a change that would wait too long, ms. */
const retryMsMax = 1_000;
/** Share of its time that a change may spend waiting for those before it. */
const waitShareMax = 0.5;

/** What is under way, and how often there was no room so far. */
export interface Load {
  requests: number;
  bytes: number;
  transfers: number;
  refused: number;
}

/** Bytes that count as a step of a transfer; fewer since the last step is standing still: a byte a minute holds no place. */
const stepBytes = 4096;

/** The place of an upload or a download. */
export interface Transfer {
  /** So many bytes of it came, or were taken. */
  moved(bytes: number): void;
  /** Idempotent. */
  leave(): void;
}

interface HeldPlace {
  /** When it made its last step. */
  movedMs: number;
  /** Since then. */
  bytes: number;
  end(): void;
}

/** Counts what is under way and says no before memory does. */
export class Admission {
  #requests = 0;
  #bytes = 0;
  readonly #transfers = new Set<HeldPlace>();
  #refused = 0;
  #changes = 0;
  #changed = 0;
  readonly #pace = new Pace();
  readonly #limits: BoxLimits;
  readonly #clock: Pick<Clock, "now">;

  constructor(limits: BoxLimits, clock: Pick<Clock, "now">) {
    this.#limits = limits;
    this.#clock = clock;
  }

  get load(): Load {
    return { requests: this.#requests, bytes: this.#bytes, transfers: this.#transfers.size, refused: this.#refused };
  }

  enter(bytes: number): Refusal | undefined {
    const { requestsMax, requestBytesMax } = this.#limits;
    if (this.#requests >= requestsMax) {
      return this.#refuse(`${requestsMax} requests`);
    }
    if (this.#bytes + bytes > requestBytesMax && this.#requests > 0) {
      return this.#refuse(`${requestBytesMax} bytes of content`);
    }
    this.#requests++;
    this.#bytes += bytes;
    return undefined;
  }
  #refuse(what: string): Refusal {
    this.#refused++;
    return refuse("OVERLOADED", `${what} are under way on this box already`, { retryAfterMs });
  }
  leave(bytes: number): void {
    this.#requests--;
    this.#bytes -= bytes;
  }

  /**
   * For a change that is admitted and waits for nothing but its turn; it ends with leaveChange. Begun behind a queue that
   * outlasts its time it would be carried out when nobody waits for it: when more comes than can be done, then nothing
   * would be done in time.
   */
  enterChange(timeoutMs: number): Refusal | undefined {
    const waitMs = this.#pace.waitMs(this.#clock.now(), this.#changes, this.#changed);
    if (waitMs > Math.max(0, timeoutMs * waitShareMax)) {
      this.#refused++;
      const message = `${this.#changes} changes wait on this box for about ${Math.round(waitMs)} ms, more than half of the time given`;
      return refuse("OVERLOADED", message, { retryAfterMs: Math.min(retryMsMax, Math.ceil(waitMs)) });
    }
    this.#changes++;
    return undefined;
  }
  leaveChange(): void {
    this.#changes--;
    this.#changed++;
  }

  /** `end` is called when the transfer has (nearly) stood still for long and another one wants its place. */
  enterTransfer(end: () => void): Transfer | Refusal {
    const { transfersMax } = this.#limits;
    if (this.#transfers.size >= transfersMax && !this.#endStalled())
      return this.#refuse(`${transfersMax} uploads and downloads`);
    const held: HeldPlace = { movedMs: this.#clock.now(), bytes: 0, end };
    this.#transfers.add(held);
    return {
      moved: (bytes) => {
        held.bytes += bytes;
        if (held.bytes < stepBytes) return;
        held.bytes = 0;
        held.movedMs = this.#clock.now();
      },
      leave: () => void this.#transfers.delete(held),
    };
  }

  /** Makes room of the place that stood still the longest, when that is too long. */
  #endStalled(): boolean {
    let stalled: HeldPlace | undefined;
    for (const held of this.#transfers)
      if (held.movedMs < (stalled?.movedMs ?? Number.POSITIVE_INFINITY)) stalled = held;
    if (stalled === undefined || this.#clock.now() - stalled.movedMs < this.#limits.transferStillMs) return false;
    this.#transfers.delete(stalled);
    stalled.end();
    return true;
  }
}
