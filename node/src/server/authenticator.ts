import { createHash } from "node:crypto";
import { type AccessTable, authenticate, checkRight, type Right } from "../auth/checks.ts";
import type { Identity } from "../auth/identities.ts";
import { isRefusal, type Refusal } from "../base/errors.ts";
import type { Caller } from "../box/api.ts";
import type { Authenticator } from "./callers.ts";

/** A caller whose table has not changed is looked at again after that long, because its token may end, ms. */
const againMs = 1_000;

/** Callers that a table knows. `table` is asked with every request, so that a changed file counts on open connections too. */
export class TableAuthenticator implements Authenticator {
  readonly #table: () => AccessTable;
  readonly #wallMs: () => number;

  constructor(table: () => AccessTable, wallMs: () => number) {
    this.#table = table;
    this.#wallMs = wallMs;
  }

  get table(): AccessTable {
    return this.#table();
  }

  authenticate(bearer: string | undefined, certificate: Identity | undefined): Caller | Refusal {
    const look = () => {
      const needs = { table: this.#table(), hash: sha256, nowMs: this.#wallMs() };
      return { ...needs, principal: authenticate(needs, { bearer, identity: certificate }) };
    };
    let { table, nowMs, principal } = look();
    if (isRefusal(principal)) return principal;
    const kind = bearer === undefined && certificate?.kind === "operator" ? "operator" : "client";
    return {
      principal: principal.name,
      kind,
      check: (right: Right, path: string) => (isRefusal(principal) ? principal : checkRight(principal, right, path)),
      renewal: () => {
        const agoMs = this.#wallMs() - nowMs;
        if (this.#table() !== table || agoMs < 0 || agoMs >= againMs) ({ table, nowMs, principal } = look());
        return isRefusal(principal) ? principal : undefined;
      },
    };
  }
}

function sha256(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
