// The PEM texts a process presents and trusts, and the identity that the other side's certificate proves. Needs only
// node:tls and node:crypto: the witness uses it.

import { X509Certificate } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import { type Identity, parseIdentityUri } from "../auth/identities.ts";
import { NexusError } from "../base/errors.ts";

export interface Credentials {
  /** The authority's certificate, PEM; two while one takes the other's place. */
  ca: string;
  /** Own certificate, PEM. */
  certificate: string;
  /** Private key of `certificate`, PEM. */
  key: string;
  /** Revocation list of `ca`, one of each authority, PEM; without one nothing counts as revoked. */
  crl?: string;
}

/** File names as Kubernetes secrets of type kubernetes.io/tls have them. */
const fileNames = { ca: "ca.crt", certificate: "tls.crt", key: "tls.key", crl: "ca.crl" } as const;

/** Reads ca.crt, tls.crt, tls.key and, where there is one, ca.crl. Throws INVALID naming the file. */
export function readCredentials(folder: string): Credentials {
  const read = (name: string): string => {
    try {
      return readFileSync(join(folder, name), "utf8");
    } catch (cause) {
      throw new NexusError("INVALID", `the certificate file ${join(folder, name)} cannot be read`, { cause });
    }
  };
  const crl = existsSync(join(folder, fileNames.crl)) ? read(fileNames.crl) : undefined;
  return { ca: read(fileNames.ca), certificate: read(fileNames.certificate), key: read(fileNames.key), crl };
}

/** Writes the files 0600 into a folder 0700, each replaced in one step, the certificate last. */
export function writeCredentials(folder: string, credentials: Credentials): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  for (const part of ["ca", "crl", "key", "certificate"] as const) {
    const text = credentials[part];
    if (text === undefined) continue;
    const path = join(folder, fileNames[part]);
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}

/** TLS 1.3 only. Throws INVALID when certificate, key or list do not parse or do not belong together. */
export function secureContextOf(credentials: Partial<Credentials>): SecureContext {
  try {
    return createSecureContext({ ...contextOptions(credentials), minVersion: "TLSv1.3" });
  } catch (cause) {
    throw new NexusError("INVALID", "ca, certificate, key and revocation list must be PEM and belong together", {
      cause,
    });
  }
}

const listPattern = /-----BEGIN X509 CRL-----[\s\S]*?-----END X509 CRL-----/g;

export function contextOptions(credentials: Partial<Credentials>) {
  const { ca, certificate, key, crl } = credentials;
  // Of one text Node reads every certificate, but only the first list.
  return { ca, cert: certificate, key, ...(crl === undefined ? {} : { crl: crl.match(listPattern) ?? crl }) };
}

/** When the own certificate ends, wall milliseconds. */
export function expiresAtMs(credentials: Credentials): number {
  return Date.parse(new X509Certificate(credentials.certificate).validTo);
}

/** The verified identity at the other end; undefined without a certificate, with an unverified or an unnamed one. */
export function peerIdentity(socket: TLSSocket): Identity | undefined {
  if (!socket.authorized) return undefined;
  return identityOfCertificate(socket.getPeerCertificate()?.subjectaltname);
}

/**
 * `names` is node's text form, "URI:spiffe://…, DNS:localhost". Exactly one URI: a certificate with two identities has
 * none. Quoted entries are node's escape for names that hold commas; ours never do, so they count as foreign.
 */
export function identityOfCertificate(names: string | undefined): Identity | undefined {
  const uris = (names ?? "").split(", ").filter((name) => name.startsWith("URI:"));
  if (uris.length !== 1 || (names ?? "").includes('"')) return undefined;
  return parseIdentityUri(uris[0]!.slice("URI:".length));
}
