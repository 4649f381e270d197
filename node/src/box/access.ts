import { type AccessTable, authenticate, checkRight } from "../auth/checks.ts";
import type { Identity } from "../auth/identities.ts";
import type { Clock } from "../base/clock.ts";
import { isRefusal, type Refusal } from "../base/errors.ts";
import type { Caller } from "./api.ts";

export interface AccessNeeds {
  /** The newest table. */
  table: () => AccessTable;
  sha256: (text: string) => Uint8Array;
  clock: Pick<Clock, "wallMs">;
}

/** Turns what a connection shows into a caller with its rights (server/: Authenticator). */
export class Access {
  readonly #needs: AccessNeeds;

  constructor(needs: AccessNeeds) {
    this.#needs = needs;
  }

  authenticate(bearer: string | undefined, identity: Identity | undefined): Caller | Refusal {
    const { table, sha256, clock } = this.#needs;
    const principal = authenticate({ table: table(), hash: sha256, nowMs: clock.wallMs() }, { bearer, identity });
    if (isRefusal(principal)) return principal;
    // A certificate of a box gives rights, but only the forward stream makes its owner a box.
    const kind = bearer === undefined && identity?.kind === "operator" ? "operator" : "client";
    return { principal: principal.name, kind, check: (right, path) => checkRight(principal, right, path) };
  }
}
