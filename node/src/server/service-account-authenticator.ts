// Callers with a service account token of Kubernetes. The problem: only the API server knows whether such a token is
// (still) good; asking it at every connection would make it part of every connection, and trusting a token for its whole
// life would ignore a deleted pod. The sketch: an answer is kept for a minute by the token's hash, asked again in the
// background from half of that time on, so that an API server that is away for a moment is not noticed; what is not
// known is refused while it is away. A connection that outlives its answer is asked about again with the next request.
import { createHash } from "node:crypto";
import { checkRight, type Grant, type Right } from "../auth/checks.ts";
import type { Identity } from "../auth/identities.ts";
import { claimsOf, grantsOf, isServiceAccount, refusedUnasked, type ServiceAccount } from "../auth/service-accounts.ts";
import { isRefusal, messageOf, type Refusal, refuse } from "../base/errors.ts";
import type { Caller } from "../box/api.ts";
import type { TableAuthenticator } from "./authenticator.ts";
import type { Authenticator } from "./callers.ts";

/** Asks the API server whose token it is. */
export interface TokenReviews {
  /** Undefined when the token is not (or no longer) good for `audience`. Rejects when no answer can be had. */
  review(token: string, audience: string): Promise<ServiceAccount | undefined>;
}

export interface ServiceAccountLimits {
  /** How long an answer counts, ms: a deleted account is out after that at the latest. */
  acceptedMs: number;
  /** How long a refusal counts, ms. */
  refusedMs: number;
  /** Answers kept; the oldest goes. */
  acceptedMax: number;
  refusedMax: number;
  /** Questions under way; more callers are told to come again. */
  askingMax: number;
}

export const defaultServiceAccountLimits: ServiceAccountLimits = {
  acceptedMs: 60_000,
  refusedMs: 10_000,
  acceptedMax: 4096,
  refusedMax: 1024,
  askingMax: 32,
};

export type ReviewOutcome = "accepted" | "refused" | "failed";

export interface ServiceAccountNeeds {
  table: TableAuthenticator;
  reviews: TokenReviews;
  wallMs: () => number;
  /** Told of every question to the API server; `reason` says why there was no answer. */
  asked: (outcome: ReviewOutcome, reason?: string) => void;
}

interface Known {
  account: ServiceAccount;
  /** Wall ms. */
  askedAtMs: number;
  /** Wall ms. Invariant: at most the token's own end. */
  untilMs: number;
}

const retryMs = 1_000;

export class ServiceAccountAuthenticator implements Authenticator {
  readonly #needs: ServiceAccountNeeds;
  readonly #audience: string;
  readonly #limits: ServiceAccountLimits;
  /** By hash of the token. */
  readonly #accepted = new Map<string, Known>();
  /** Until when, wall ms. */
  readonly #refused = new Map<string, number>();
  readonly #asking = new Map<string, Promise<Known | Refusal>>();

  constructor(needs: ServiceAccountNeeds, audience: string, limits = defaultServiceAccountLimits) {
    this.#needs = needs;
    this.#audience = audience;
    this.#limits = limits;
  }

  /** What the table does not know and has the form of a service account token is asked about. */
  authenticate(
    bearer: string | undefined,
    certificate: Identity | undefined,
  ): Caller | Refusal | Promise<Caller | Refusal> {
    const found = this.#needs.table.authenticate(bearer, certificate);
    if (!isRefusal(found) || bearer === undefined || claimsOf(bearer) === undefined) return found;
    const known = this.#know(bearer);
    if (!(known instanceof Promise)) return this.#callerOf(known, bearer);
    return known.then((answer) => this.#callerOf(answer, bearer));
  }

  #know(token: string): Known | Refusal | Promise<Known | Refusal> {
    const nowMs = this.#needs.wallMs();
    const claims = claimsOf(token)!;
    const unasked = refusedUnasked(claims, this.#audience, nowMs);
    if (unasked) return unasked;
    const key = createHash("sha256").update(token).digest("base64");
    const known = this.#accepted.get(key);
    if (known && nowMs < known.untilMs) {
      if (nowMs - known.askedAtMs >= this.#limits.acceptedMs / 2) void this.#ask(key, token);
      return known;
    }
    if ((this.#refused.get(key) ?? 0) > nowMs) return notGood();
    return this.#ask(key, token);
  }

  /** One question a token at a time. Never rejects. */
  #ask(key: string, token: string): Promise<Known | Refusal> {
    const already = this.#asking.get(key);
    if (already) return already;
    if (this.#asking.size >= this.#limits.askingMax)
      return Promise.resolve(
        refuse("OVERLOADED", "too many tokens wait for the API server's word", { retryAfterMs: retryMs }),
      );
    const asking = this.#review(key, token).finally(() => this.#asking.delete(key));
    this.#asking.set(key, asking);
    return asking;
  }

  async #review(key: string, token: string): Promise<Known | Refusal> {
    const { reviews, asked, wallMs } = this.#needs;
    const askedAtMs = wallMs();
    try {
      const account = await reviews.review(token, this.#audience);
      if (account === undefined || !isServiceAccount(account.name)) {
        asked("refused");
        this.#accepted.delete(key);
        keep(this.#refused, key, { value: wallMs() + this.#limits.refusedMs, max: this.#limits.refusedMax });
        return account === undefined ? notGood() : noAccount(account.name);
      }
      asked("accepted");
      const endMs = claimsOf(token)?.expiresAtMs ?? Number.POSITIVE_INFINITY;
      const known = { account, askedAtMs, untilMs: Math.min(askedAtMs + this.#limits.acceptedMs, endMs) };
      keep(this.#accepted, key, { value: known, max: this.#limits.acceptedMax });
      return known;
    } catch (error) {
      const reason = messageOf(error);
      asked("failed", reason);
      return refuse("ZONE_UNAVAILABLE", `this box cannot ask the API server about the token: ${reason}`, {
        retryAfterMs: retryMs,
      });
    }
  }

  #callerOf(answer: Known | Refusal, token: string): Caller | Refusal {
    if (isRefusal(answer)) return answer;
    const { table, wallMs } = this.#needs;
    let { account, untilMs } = answer;
    let grants: { of: object; list: readonly Grant[] } | undefined;
    const renewed = (next: Known | Refusal): Refusal | undefined => {
      if (isRefusal(next)) return next;
      grants = undefined;
      ({ account, untilMs } = next);
      return undefined;
    };
    return {
      principal: account.name,
      kind: "client",
      check: (right: Right, path: string) => {
        if (grants?.of !== table.table) grants = { of: table.table, list: grantsOf(table.table, account) };
        return checkRight({ name: account.name, grants: grants.list }, right, path);
      },
      renewal: () => {
        if (wallMs() < untilMs) return undefined;
        const next = this.#know(token);
        return next instanceof Promise ? next.then(renewed) : renewed(next);
      },
    };
  }
}

function keep<T>(map: Map<string, T>, key: string, { value, max }: { value: T; max: number }): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= max) return;
    map.delete(oldest);
  }
}

function notGood(): Refusal {
  return refuse("UNAUTHENTICATED", "the API server does not know the service account token (any more)");
}

function noAccount(name: string): Refusal {
  return refuse("UNAUTHENTICATED", `the token is ${name}'s, which is no service account`);
}
