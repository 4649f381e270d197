// Places where a test kills the operator: between any two writes of one reconcile. Without the environment variable
// NEXUS_FAILPOINT every place is a comparison with undefined.
import { NexusError } from "@nexus-federation/node/base/errors.ts";

/** A named place and the how-manieth passage through it ends the process. */
interface Chosen {
  name: string;
  /** 1 is the first passage. */
  hit: number;
}

export class Failpoints {
  readonly #chosen: Chosen | undefined;
  readonly #crash: () => void;
  #hits = 0;

  /** `text` is the value of NEXUS_FAILPOINT: `name` or `name:hit`. `crash` must end the process without any clean-up. */
  constructor(text: string | undefined, crash: () => void) {
    this.#chosen = text === undefined || text === "" ? undefined : parse(text);
    this.#crash = crash;
  }

  /** Ends the process here when this is the chosen passage. */
  pass(name: string): void {
    if (this.#chosen === undefined || this.#chosen.name !== name) return;
    this.#hits++;
    if (this.#hits === this.#chosen.hit) this.#crash();
  }
}

/** For everything that is not the operator's own process. */
export const noFailpoints = new Failpoints(undefined, () => {});

function parse(text: string): Chosen {
  const found = /^([a-z][a-z0-9-]*)(?::([1-9][0-9]{0,5}))?$/.exec(text);
  if (!found) {
    const came = JSON.stringify(text);
    throw new NexusError("INVALID", `NEXUS_FAILPOINT is NAME or NAME:HIT with HIT from 1, got ${came}`);
  }
  return { name: found[1]!, hit: Number(found[2] ?? 1) };
}
