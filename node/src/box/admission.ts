import { type Refusal, refuse } from "../base/errors.ts";
import type { BoxLimits } from "./limits.ts";

/** Pause advised to those who come too many, ms. */
const retryAfterMs = 50;

/** Counts what is under way and says no before memory does. */
export class Admission {
  #requests = 0;
  #bytes = 0;
  #transfers = 0;
  readonly #limits: BoxLimits;

  constructor(limits: BoxLimits) {
    this.#limits = limits;
  }
  get requests(): number {
    return this.#requests;
  }

  enter(bytes: number): Refusal | undefined {
    const { requestsMax, requestBytesMax } = this.#limits;
    if (this.#requests >= requestsMax) {
      return refuse("OVERLOADED", `${requestsMax} requests are under way on this box already`, { retryAfterMs });
    }
    if (this.#bytes + bytes > requestBytesMax && this.#requests > 0) {
      return refuse("OVERLOADED", `${requestBytesMax} bytes of content are under way on this box already`, {
        retryAfterMs,
      });
    }
    this.#requests++;
    this.#bytes += bytes;
    return undefined;
  }
  leave(bytes: number): void {
    this.#requests--;
    this.#bytes -= bytes;
  }

  enterTransfer(): Refusal | undefined {
    const { transfersMax } = this.#limits;
    if (this.#transfers >= transfersMax) {
      return refuse("OVERLOADED", `${transfersMax} uploads and downloads are under way on this box already`, {
        retryAfterMs,
      });
    }
    this.#transfers++;
    return undefined;
  }
  leaveTransfer(): void {
    this.#transfers--;
  }
}
