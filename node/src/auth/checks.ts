import { type Refusal, refuse } from "../base/errors.ts";
import type { Identity } from "./identities.ts";

export const rights = ["read", "write", "lock", "admin"] as const;
/** `admin` includes the others under its prefix; on "/" it opens the admin service. */
export type Right = (typeof rights)[number];

export interface Grant {
  /** "/" or a path without a slash at its end; covers itself and everything below. */
  prefix: string;
  rights: readonly Right[];
}

/** Who asks, once authenticated. */
export interface Principal {
  /** For logs and for the box that serves a forwarded request: "token:ci", "user:ann", "operator:o1", "box:a". */
  name: string;
  grants: readonly Grant[];
}

/** A static bearer token. The token itself is kept nowhere. */
export interface TokenRecord {
  name: string;
  federation: string;
  /** SHA-256 of the token, 32 bytes. */
  sha256: Uint8Array;
  grants: readonly Grant[];
  /** Wall milliseconds after which it is refused; undefined = never. */
  expiresAtMs?: number;
}

/** What a user with a client certificate may do. */
export interface UserRecord {
  name: string;
  grants: readonly Grant[];
}

export interface AccessTable {
  federation: string;
  tokens: readonly TokenRecord[];
  users: readonly UserRecord[];
}

/** What a caller shows. `identity` is already verified by the TLS layer. */
export interface Shown {
  bearer?: string;
  identity?: Identity;
}

export interface AuthNeeds {
  table: AccessTable;
  /** SHA-256. */
  hash: (text: string) => Uint8Array;
  /** Wall milliseconds. */
  nowMs: number;
}

/** Longer tokens are refused before they are hashed: 4 KiB. */
const bearerLengthMax = 4096;
const everything: readonly Grant[] = [{ prefix: "/", rights: ["admin"] }];

/** The principal, or UNAUTHENTICATED with the reason. A bearer token decides when both are shown. */
export function authenticate(needs: AuthNeeds, shown: Shown): Principal | Refusal {
  if (shown.bearer !== undefined) return byToken(needs, shown.bearer);
  if (shown.identity !== undefined) return byIdentity(needs.table, shown.identity);
  return unauthenticated("the request carries neither a bearer token nor a client certificate");
}

function byToken({ table, hash, nowMs }: AuthNeeds, bearer: string): Principal | Refusal {
  if (bearer.length === 0 || bearer.length > bearerLengthMax) {
    return unauthenticated(`a bearer token has 1 to ${bearerLengthMax} characters`);
  }
  const digest = hash(bearer);
  let found: TokenRecord | undefined;
  // All records are compared in full, so that the time tells nothing about how near a guess was.
  for (const record of table.tokens) if (sameDigest(record.sha256, digest)) found = record;
  if (found === undefined) return unauthenticated("the bearer token is not known");
  if (found.federation !== table.federation) {
    return unauthenticated(`the bearer token is for federation ${found.federation}, this is ${table.federation}`);
  }
  if (found.expiresAtMs !== undefined && nowMs >= found.expiresAtMs) {
    return unauthenticated(`the bearer token ${found.name} has expired`);
  }
  return { name: `token:${found.name}`, grants: found.grants };
}

function byIdentity(table: AccessTable, identity: Identity): Principal | Refusal {
  if (identity.federation !== table.federation) {
    return unauthenticated(`the certificate is for federation ${identity.federation}, this is ${table.federation}`);
  }
  const name = `${identity.kind}:${identity.id}`;
  if (identity.kind !== "user") return { name, grants: everything };
  return { name, grants: table.users.find((user) => user.name === identity.id)?.grants ?? [] };
}

/** Undefined when the principal has the right on the normalised `path`. */
export function checkRight(principal: Principal, right: Right, path: string): Refusal | undefined {
  if (!isNormal(path)) return refuse("INVALID", `"${path}" is not a normalised path`);
  for (const grant of principal.grants) {
    if (covers(grant.prefix, path) && (grant.rights.includes(right) || grant.rights.includes("admin")))
      return undefined;
  }
  return refuse("DENIED", `${principal.name} has no ${right} right on ${path}`);
}

/** Whether `prefix` is `path` or one of its parents. */
export function covers(prefix: string, path: string): boolean {
  return prefix === "/" || path === prefix || (path.startsWith(prefix) && path[prefix.length] === "/");
}

/** Starts with a slash, no empty, "." or ".." segment, no slash at the end (but "/" itself). */
export function isNormal(path: string): boolean {
  if (path === "/") return true;
  if (!path.startsWith("/")) return false;
  // Asked of every request: without a list of the segments.
  for (let start = 1, end = 0; end < path.length; start = end + 1) {
    const slash = path.indexOf("/", start);
    end = slash < 0 ? path.length : slash;
    const length = end - start;
    if (length === 0) return false;
    if (length <= 2 && path[start] === "." && path[end - 1] === ".") return false;
  }
  return true;
}

function unauthenticated(message: string): Refusal {
  return refuse("UNAUTHENTICATED", message);
}

/** Takes the same time wherever the two differ. */
function sameDigest(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < b.length; i++) difference |= (a[i] ?? 0) ^ b[i]!;
  return difference === 0;
}
