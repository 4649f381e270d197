import { type Refusal, refuse } from "../base/errors.ts";
import type { BoxLimits } from "./limits.ts";

/** Pause advised to those who come too many, ms. */
const retryAfterMs = 50;

/** What is under way, and how often there was no room so far. */
export interface Load {
  requests: number;
  bytes: number;
  transfers: number;
  refused: number;
}

/** Counts what is under way and says no before memory does. */
export class Admission {
  #requests = 0;
  #bytes = 0;
  #transfers = 0;
  #refused = 0;
  readonly #limits: BoxLimits;

  constructor(limits: BoxLimits) {
    this.#limits = limits;
  }

  get load(): Load {
    return { requests: this.#requests, bytes: this.#bytes, transfers: this.#transfers, refused: this.#refused };
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

  enterTransfer(): Refusal | undefined {
    const { transfersMax } = this.#limits;
    if (this.#transfers >= transfersMax) {
      return this.#refuse(`${transfersMax} uploads and downloads`);
    }
    this.#transfers++;
    return undefined;
  }
  leaveTransfer(): void {
    this.#transfers--;
  }
}
