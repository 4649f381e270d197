import { Backoff } from "@nexus-federation/node/base/backoff.ts";
import type { Clock, Random } from "@nexus-federation/node/base/clock.ts";
import { errorKinds, NexusError } from "@nexus-federation/node/base/errors.ts";
import type { Action } from "../../planner/actions.ts";
import type { Desired } from "../../planner/desired.ts";
import type { ObservedRule, RefusedRule } from "../../planner/observed.ts";
import { textIn } from "../../planner/rules-plan.ts";

type Install = Extract<Action, { type: "installRules" }>;

/** What stood in a rule's way may be gone without a word: it is asked for again and again, ever more rarely. */
const again = { firstMs: 1000, maxMs: 10_000, factor: 2 };

interface Answer {
  text: string;
  message: string;
  notBeforeMs: number;
  backoff: Backoff;
}

/** Rules that the boxes refused, by zone. Invariant: no more than the zones that are declared. */
export class RefusedRules {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #answers = new Map<string, Answer>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  get view(): ReadonlyMap<string, RefusedRule> {
    const now = this.#clock.now();
    return new Map(
      [...this.#answers].map(([zone, { text, message, notBeforeMs }]) => [
        zone,
        { text, message, due: now >= notBeforeMs },
      ]),
    );
  }

  /** Forgets zones that nobody wants in force any more. */
  keep(declared: Desired["zones"]): void {
    for (const zone of this.#answers.keys()) if (declared.get(zone)?.retired !== false) this.#answers.delete(zone);
  }

  installed({ rules }: Install): void {
    for (const [zone, { text }] of this.#answers) if (textIn(rules, zone) === text) this.#answers.delete(zone);
  }

  /** Remembers which rule was to blame. A fault that passes by itself blames none. */
  failed(action: Install, error: unknown, inForce: readonly ObservedRule[]): void {
    if (!(error instanceof NexusError) || errorKinds[error.code].retryable) return;
    const zone = error.refusal.details?.["rule"] ?? onlyChange(action.rules, inForce);
    if (zone === undefined) return;
    const text = textIn(action.rules, zone);
    const known = this.#answers.get(zone);
    const backoff = known?.text === text ? known.backoff : new Backoff(this.#random, again);
    const message = `Its rule was refused (${error.code}): ${error.message}. It is asked for again every few seconds.`;
    this.#answers.set(zone, { text, message, backoff, notBeforeMs: this.#clock.now() + backoff.nextMs() });
  }
}

/** The one zone whose rule differs, if it is one. */
function onlyChange(wanted: readonly ObservedRule[], inForce: readonly ObservedRule[]): string | undefined {
  const zones = new Set([...wanted, ...inForce].map((rule) => rule.zone));
  const changed = [...zones].filter((zone) => textIn(wanted, zone) !== textIn(inForce, zone));
  return changed.length === 1 ? changed[0] : undefined;
}
