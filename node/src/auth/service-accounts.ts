import { type Refusal, refuse } from "../base/errors.ts";
import type { AccessTable, Grant } from "./checks.ts";

/** What a service account token says about itself. Nothing of it is proven before the API server was asked. */
export interface Claims {
  audiences: readonly string[];
  /** Wall milliseconds; undefined = it says none. */
  expiresAtMs: number | undefined;
}

/** Whom the API server found behind a token. */
export interface ServiceAccount {
  /** "system:serviceaccount:NAMESPACE:NAME". */
  name: string;
  /** Among them "system:serviceaccounts:NAMESPACE". */
  groups: readonly string[];
}

/** As Kubernetes bounds them, and our doors with it. */
const tokenLengthMax = 4096;
const accountPattern = /^system:serviceaccount:[a-z0-9-]+:[a-z0-9.-]+$/;

/** Undefined when the text has not the form of a JSON Web Token. */
export function claimsOf(token: string): Claims | undefined {
  if (token.length > tokenLengthMax) return undefined;
  const parts = token.split(".");
  if (parts.length !== 3 || !parts.every((part) => /^[A-Za-z0-9_-]+$/.test(part))) return undefined;
  try {
    const { aud, exp } = JSON.parse(atob(parts[1]!.replaceAll("-", "+").replaceAll("_", "/"))) ?? {};
    const audiences = (Array.isArray(aud) ? aud : [aud]).filter((one) => typeof one === "string");
    return { audiences, expiresAtMs: typeof exp === "number" ? exp * 1000 : undefined };
  } catch {
    return undefined;
  }
}

/** Why the API server need not be asked at all; it is never asked about a token that is meant for somebody else. */
export function refusedUnasked(claims: Claims, audience: string, nowMs: number): Refusal | undefined {
  if (!claims.audiences.includes(audience)) {
    const for_ = claims.audiences.length > 0 ? claims.audiences.join(", ") : "nobody in particular";
    return refuse(
      "UNAUTHENTICATED",
      `the service account token is for audience ${for_}, not ${audience}: make one with kubectl create token NAME --audience=${audience}`,
    );
  }
  if (claims.expiresAtMs !== undefined && claims.expiresAtMs <= nowMs)
    return refuse("UNAUTHENTICATED", "the service account token has expired: make a new one");
  return undefined;
}

/** Users of the API server that are no service accounts have no business here. */
export function isServiceAccount(name: string): boolean {
  return accountPattern.test(name);
}

/** What the table's users of that name, or of one of its groups, may do. */
export function grantsOf(table: AccessTable, { name, groups }: ServiceAccount): Grant[] {
  return table.users.filter((user) => user.name === name || groups.includes(user.name)).flatMap((user) => user.grants);
}
