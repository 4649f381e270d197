import type { World } from "../scenario.ts";
import type { Preparation } from "../world.ts";

/** One kind of harm, done again and again to one federation. */
export interface Strike {
  name: string;
  /** What it does, for --help. */
  about: string;
  /** What must stand before the boxes start. The sentence says why this machine cannot. */
  prepare?(): Preparation | string;
  /** Does harm and answers how to undo it; the sentence says why this machine cannot. */
  strike(world: World): Promise<Mend | string>;
}

/** Undoes it, or waits until the federation did. */
export type Mend = () => Promise<unknown>;
