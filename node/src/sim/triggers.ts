/**
 * Moments at which a fault does most harm: a term of the main zone's log gets its leader; a configuration change or a
 * change of mode is written; a joint configuration is in effect; somebody voted; a witness engaged; a snapshot arrived;
 * a subtree was ceded.
 */
export type Moment = "leads" | "conf" | "joint" | "epoch" | "vote" | "engage" | "snapshot" | "cede" | "grant" | "write";

/** Faults that wait for a moment. */
export class Triggers {
  readonly #armed = new Map<Moment, (() => void)[]>();

  arm(moment: Moment, act: () => void): void {
    const waiting = this.#armed.get(moment) ?? [];
    this.#armed.set(moment, waiting);
    waiting.push(act);
  }

  /** The first that waits for it acts. */
  happened(moment: Moment): void {
    this.#armed.get(moment)?.shift()?.();
  }

  disarm(): void {
    this.#armed.clear();
  }
}
