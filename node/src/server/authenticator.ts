import { createHash } from "node:crypto";
import { type AccessTable, authenticate, checkRight, type Right } from "../auth/checks.ts";
import type { Identity } from "../auth/identities.ts";
import { isRefusal, type Refusal } from "../base/errors.ts";
import type { Caller } from "../box/api.ts";
import type { Authenticator } from "./callers.ts";

/** Callers that a table knows. `table` is asked at each connection, so that a changed file counts at once. */
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
    const needs = { table: this.#table(), hash: sha256, nowMs: this.#wallMs() };
    const principal = authenticate(needs, { bearer, identity: certificate });
    if (isRefusal(principal)) return principal;
    const kind = bearer === undefined && certificate?.kind === "operator" ? "operator" : "client";
    return {
      principal: principal.name,
      kind,
      check: (right: Right, path: string) => checkRight(principal, right, path),
    };
  }
}

function sha256(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
