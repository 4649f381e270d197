// Who speaks. An identity is what a certificate proves (transport reads it from the SAN URI); a principal is an identity
// or a token's owner as the rest of the box sees it. Why not the certificate's common name: names are free text, the URI
// spiffe://<federation>/<kind>/<id> says federation and kind as well and cannot be mistaken for a host name.

const identityKinds = ["box", "operator", "user"] as const;
/** `box` is every member process, data or witness. */
export type IdentityKind = (typeof identityKinds)[number];

export interface Identity {
  federation: string;
  kind: IdentityKind;
  /** Box name, operator name or user name. Invariant: matches idPattern. */
  id: string;
}

/** Federation and id: letters, digits, dot, dash, underscore; at most 253 characters; no leading dot. */
export const idPattern = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}$/;

export function identityUri(identity: Identity): string {
  return `spiffe://${identity.federation}/${identity.kind}/${identity.id}`;
}

/** Undefined when `uri` is not exactly spiffe://<federation>/<box|operator|user>/<id>. */
export function parseIdentityUri(uri: string): Identity | undefined {
  if (!uri.startsWith("spiffe://")) return undefined;
  const [federation, kind, id, ...rest] = uri.slice("spiffe://".length).split("/");
  if (federation === undefined || kind === undefined || id === undefined || rest.length > 0) return undefined;
  if (!idPattern.test(federation) || !idPattern.test(id)) return undefined;
  return isKind(kind) ? { federation, kind, id } : undefined;
}

function isKind(kind: string): kind is IdentityKind {
  return (identityKinds as readonly string[]).includes(kind);
}
