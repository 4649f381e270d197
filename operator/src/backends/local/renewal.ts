import { type Clock, delay } from "@nexus-federation/node/base/clock.ts";
import { messageOf, NexusError } from "@nexus-federation/node/base/errors.ts";
import { leafLifeMs } from "@nexus-federation/node/transport/authority.ts";
import type { Action } from "../../planner/actions.ts";
import type { Observed } from "../../planner/observed.ts";
import type { Admin } from "../shared/admin.ts";
import type { Identities } from "./identities.ts";

/** Certificates are looked at this many times in the life of a leaf, and at least once an hour. */
const looksPerLife = 20;
const lookEveryMsMax = 3_600_000;

/** By then a box has taken certificates that were written for it: it looks every 10 s. */
const takenMs = 11_000;

interface RenewalNeeds {
  identities: Identities;
  admin: Admin;
  clock: Clock;
  report: (line: string) => void;
}

/** Renews certificates while everything runs. Boxes look at their files by themselves. */
export class Renewal {
  readonly #needs: RenewalNeeds;
  readonly #everyMs: number;
  /** Monotonic ms. */
  #nextMs: number;
  /** When what an earlier supervisor replaced may be revoked: its boxes have taken their new certificates by then. */
  #formerMs: number;
  /** Replacements under way, by box. */
  readonly #replacing = new Map<string, Promise<void>>();

  constructor(needs: RenewalNeeds, lifeMs = leafLifeMs) {
    this.#needs = needs;
    this.#everyMs = Math.min(lookEveryMsMax, lifeMs / looksPerLife);
    this.#nextMs = needs.clock.now() + this.#everyMs;
    this.#formerMs = needs.clock.now() + takenMs;
  }

  /** For a key that others may have: the box gets another certificate, and when it has it the former one counts no more. */
  replace(box: string): Promise<void> {
    const replacing = this.#replacing.get(box) ?? this.#replace(box).finally(() => this.#replacing.delete(box));
    this.#replacing.set(box, replacing);
    return replacing;
  }

  async #replace(box: string): Promise<void> {
    const { identities, clock } = this.#needs;
    const former = await identities.reissue(box, clock.wallMs());
    if (former === undefined) throw new NexusError("NOT_FOUND", `no box "${box}" has a certificate of this federation`);
    await delay(clock, takenMs);
    await identities.revokeFormer(clock.wallMs(), [box]);
  }

  /** A recovery gives disks up: what still speaks with their boxes' certificates is not what comes in their place. */
  executed(action: Action, registered: Observed["registered"]): void {
    if (action.type !== "recover") return;
    for (const [box, { incarnation }] of registered) {
      if (!action.abandoned.includes(incarnation)) continue;
      this.#giveUp(box).catch((error) =>
        this.#needs.report(`the former certificate of ${box} counts still: ${messageOf(error)}`),
      );
    }
  }

  async #giveUp(box: string): Promise<void> {
    const { identities, clock } = this.#needs;
    await identities.reissue(box, clock.wallMs());
    await identities.revokeFormer(clock.wallMs(), [box]);
  }

  /** The box is gone for good. */
  forget(box: string): Promise<void> {
    return this.#needs.identities.forget(box, this.#needs.clock.wallMs());
  }

  /** Does nothing until it is due. */
  async look(): Promise<void> {
    const { identities, admin, clock } = this.#needs;
    if (this.#replacing.size === 0 && clock.now() >= this.#formerMs) {
      this.#formerMs = Number.POSITIVE_INFINITY;
      await identities.revokeFormer(clock.wallMs());
    }
    if (clock.now() < this.#nextMs) return;
    this.#nextMs = clock.now() + this.#everyMs;
    const now = clock.wallMs();
    await identities.renew(now);
    admin.reload(await identities.operator(now));
  }
}
