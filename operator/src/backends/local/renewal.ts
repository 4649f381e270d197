import type { Clock } from "@nexus-federation/node/base/clock.ts";
import { leafLifeMs } from "@nexus-federation/node/transport/authority.ts";
import type { Admin } from "../shared/admin.ts";
import type { Identities } from "./identities.ts";

/** Certificates are looked at this many times in the life of a leaf, and at least once an hour. */
const looksPerLife = 20;
const lookEveryMsMax = 3_600_000;

/** Renews certificates while everything runs. Boxes look at their files by themselves. */
export class Renewal {
  readonly #needs: { identities: Identities; admin: Admin; clock: Clock };
  readonly #everyMs: number;
  /** Monotonic ms. */
  #nextMs: number;

  constructor(needs: { identities: Identities; admin: Admin; clock: Clock }, lifeMs = leafLifeMs) {
    this.#needs = needs;
    this.#everyMs = Math.min(lookEveryMsMax, lifeMs / looksPerLife);
    this.#nextMs = needs.clock.now() + this.#everyMs;
  }

  /** Does nothing until it is due. */
  async look(): Promise<void> {
    const { identities, admin, clock } = this.#needs;
    if (clock.now() < this.#nextMs) return;
    this.#nextMs = clock.now() + this.#everyMs;
    const now = clock.wallMs();
    await identities.renew(now);
    admin.reload(await identities.operator(now));
  }
}
