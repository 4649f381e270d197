// A federation's own certificate authority: ECDSA P-256, one self-signed root, leaves that name their owner in a SAN URI,
// a revocation list. Why not the cluster's issuer: `nexus up` has none; clusters may bring their own, as boxes need only
// the PEM files of credentials.ts. This is the one file that loads the x509 library, so that boxes and witnesses do not.

import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { type Identity, identityUri, idPattern } from "../auth/identities.ts";
import { assert, must } from "../base/assert.ts";
import type { Credentials } from "./credentials.ts";

x509.cryptoProvider.set(webcrypto);

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dayMs = 86_400_000;
/** Life of a leaf: 90 days. */
export const leafLifeMs = 90 * dayMs;
/** Life of the authority: 10 years. */
const authorityLifeMs = 3650 * dayMs;
/** A list older than this is refused by verifiers, so the owner writes it anew well before: 1 year. */
export const revocationListLifeMs = 365 * dayMs;
/** How far back certificates and lists start, for hosts whose clocks are behind: 2 hours, as a wrong summer time takes one. */
const backdateMs = 2 * 3_600_000;

interface Revocation {
  serialNumber: string;
  atMs: number;
}

/** Files of an authority, the mark that the others are whole last. */
const authorityFiles = ["ca.crt", "ca.key", "ca.crl", "ca.json"] as const;
export type AuthorityTexts = Record<(typeof authorityFiles)[number], string>;

export interface IssueOptions {
  /** Wall time of issue in milliseconds. */
  nowMs: number;
  /** Host names and IP addresses beside localhost and 127.0.0.1; ignored for users and operators. */
  hosts?: readonly string[];
  lifeMs?: number;
}

export class Authority {
  readonly federation: string;
  readonly #certificate: x509.X509Certificate;
  readonly #key: webcrypto.CryptoKey;
  /** PEM. An operator of a thousand boxes asks for it, and for the list's end, in every round. */
  readonly certificatePem: string;
  #revoked: Revocation[] = [];
  #crl = "";
  #listExpiresAtMs = 0;

  private constructor(federation: string, certificate: x509.X509Certificate, key: webcrypto.CryptoKey) {
    this.federation = federation;
    this.#certificate = certificate;
    this.#key = key;
    this.certificatePem = certificate.toString("pem");
  }

  /**
   * A new authority with an empty revocation list, in memory; `save` keeps it. `mark` tells it from another authority of
   * the federation: verifiers find the revocation list of a certificate by its issuer's name.
   */
  static async create(federation: string, nowMs: number, mark = ""): Promise<Authority> {
    assert(idPattern.test(federation), "a federation name is letters, digits, dot, dash or underscore");
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: [{ CN: [`nexus ${mark === "" ? "" : `${mark} `}${federation}`.slice(0, 64)] }],
      notBefore: new Date(nowMs - backdateMs),
      notAfter: new Date(nowMs + authorityLifeMs),
      signingAlgorithm: algorithm,
      keys: keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    const authority = new Authority(federation, certificate, keys.privateKey);
    await authority.#signList(nowMs);
    return authority;
  }

  /** Reads what `save` wrote. */
  static load(folder: string): Promise<Authority> {
    const texts = authorityFiles.map((name) => [name, readFileSync(join(folder, name), "utf8")]);
    return Authority.of(Object.fromEntries(texts) as AuthorityTexts);
  }

  /** The authority whose `texts` these are. */
  static async of(texts: AuthorityTexts): Promise<Authority> {
    const certificate = new x509.X509Certificate(texts["ca.crt"]);
    const der = x509.PemConverter.decodeFirst(texts["ca.key"]);
    const key = await webcrypto.subtle.importKey("pkcs8", der, algorithm, true, ["sign"]);
    const state = JSON.parse(texts["ca.json"]) as { federation: string; revoked: Revocation[] };
    const authority = new Authority(state.federation, certificate, key);
    authority.#revoked = state.revoked;
    authority.#takeList(texts["ca.crl"]);
    return authority;
  }

  static exists(folder: string): boolean {
    return existsSync(join(folder, "ca.json"));
  }

  /** Whose authority the folder holds; undefined when it holds none. */
  static federationOf(folder: string): string | undefined {
    if (!Authority.exists(folder)) return undefined;
    return (JSON.parse(readFileSync(join(folder, "ca.json"), "utf8")) as { federation: string }).federation;
  }

  get crlPem(): string {
    return this.#crl;
  }
  /** When verifiers begin to refuse the revocation list, wall ms. */
  get listExpiresAtMs(): number {
    return this.#listExpiresAtMs;
  }

  /** ca.crt, ca.key, ca.crl and ca.json, all 0600 in a folder 0700; ca.json last, as the mark that the rest is whole. */
  async save(folder: string): Promise<void> {
    const texts = await this.texts();
    for (const name of authorityFiles) writePrivate(folder, name, texts[name]);
  }

  /** All there is to keep, the key included. */
  async texts(): Promise<AuthorityTexts> {
    return {
      "ca.crt": this.certificatePem,
      "ca.key": await pemOfKey(this.#key),
      "ca.crl": this.#crl,
      "ca.json": JSON.stringify({ federation: this.federation, revoked: this.#revoked }),
    };
  }

  /** A leaf with a fresh key. Boxes (data and witness) are servers and clients, operators and users clients only. */
  async issue(who: Omit<Identity, "federation">, options: IssueOptions): Promise<Credentials> {
    const identity: Identity = { federation: this.federation, ...who };
    assert(idPattern.test(identity.id), `"${identity.id}" is a name of letters, digits, dot, dash or underscore`);
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const server = identity.kind === "box";
    const usages = server
      ? [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]
      : [x509.ExtendedKeyUsage.clientAuth];
    const certificate = await x509.X509CertificateGenerator.create({
      subject: [{ CN: [identity.id.slice(0, 64)] }],
      issuer: this.#certificate.subject,
      notBefore: new Date(options.nowMs - backdateMs),
      notAfter: new Date(options.nowMs + (options.lifeMs ?? leafLifeMs)),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: this.#key,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(usages),
        new x509.SubjectAlternativeNameExtension(
          alternativeNames(identity, server ? (options.hosts ?? []) : undefined),
        ),
        await x509.AuthorityKeyIdentifierExtension.create(this.#certificate.publicKey),
      ],
    });
    return {
      ca: this.certificatePem,
      crl: this.#crl,
      certificate: certificate.toString("pem"),
      key: await pemOfKey(keys.privateKey),
    };
  }

  /** Adds the certificate to the list and signs it anew; `save` and distribute `crlPem` afterwards. Idempotent. */
  async revoke(certificatePem: string, nowMs: number): Promise<void> {
    const { serialNumber } = new x509.X509Certificate(certificatePem);
    if (!this.#revoked.some((entry) => entry.serialNumber === serialNumber)) {
      this.#revoked.push({ serialNumber, atMs: nowMs });
    }
    await this.#signList(nowMs);
  }

  /** Signs the same list with a new date; call well before revocationListLifeMs is over. */
  async renewList(nowMs: number): Promise<void> {
    await this.#signList(nowMs);
  }

  async #signList(nowMs: number): Promise<void> {
    const list = await x509.X509CrlGenerator.create({
      issuer: this.#certificate.subject,
      thisUpdate: new Date(nowMs - backdateMs),
      nextUpdate: new Date(nowMs + revocationListLifeMs),
      entries: this.#revoked.map(({ serialNumber, atMs }) => ({ serialNumber, revocationDate: new Date(atMs) })),
      signingAlgorithm: algorithm,
      signingKey: this.#key,
    });
    // The library writes the label "CRL", which OpenSSL does not know.
    this.#takeList(x509.PemConverter.encode(list.rawData, "X509 CRL"));
  }

  #takeList(pem: string): void {
    this.#crl = pem;
    this.#listExpiresAtMs = new x509.X509Crl(x509.PemConverter.decodeFirst(pem)).nextUpdate?.getTime() ?? 0;
  }
}

function alternativeNames(identity: Identity, hosts: readonly string[] | undefined): x509.JsonGeneralNames {
  const names: x509.JsonGeneralNames = [{ type: "url", value: identityUri(identity) }];
  if (hosts === undefined) return names;
  for (const host of new Set(["localhost", "127.0.0.1", "::1", ...hosts])) {
    names.push({ type: isIP(host) === 0 ? "dns" : "ip", value: host });
  }
  return names;
}

async function pemOfKey(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");
}

/** Replaces folder/name in one step with mode 0600. */
function writePrivate(folder: string, name: string, text: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const path = join(must(folder, "folder of the authority"), name);
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
