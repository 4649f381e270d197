// Certificates and the owner's token of a federation in a namespace. The authority is a Secret that outlives every box;
// leaves are Secrets of the boxes, issued again when a third of their life is left. Where cert-manager or a person issues
// them, the operator only reads.
import { createHash, X509Certificate } from "node:crypto";
import type { Clock, Random } from "@nexus-federation/node/base/clock.ts";
import { leafLifeMs } from "@nexus-federation/node/transport/authority.ts";
import { type Credentials, expiresAtMs } from "@nexus-federation/node/transport/credentials.ts";
import type { FederationSpec } from "../../api/federation.ts";
import type { KubeClient } from "../../runtime/api.ts";
import type { Applier } from "../../runtime/applier.ts";
import { isKubeError } from "../../runtime/kube-error.ts";
import type { KubeObject } from "../../runtime/objects.ts";
import { resourceTypes } from "../../runtime/resource-types.ts";
import { boxPorts } from "../shared/container.ts";
import { ownerPrincipal, ownerTokenBytes, renewBelow } from "../shared/credentials.ts";
import { AuthorityStore, type Trust } from "./authority-store.ts";
import { GivenSecrets } from "./given-secrets.ts";
import {
  accessName,
  boxUidAnnotation,
  certificateName,
  clientServiceName,
  federationServiceName,
  inNamespace,
  labelsOf,
  operatorCertificateName,
  peerServiceName,
  serviceHost,
  tokenName,
} from "./names.ts";
import { encoded, textOf } from "./secret-texts.ts";

export interface IdentityNeeds {
  client: KubeClient;
  applier: Applier;
  clock: Clock;
  random: Random;
  namespace: string;
  federation: string;
  /** Id of this operator in its certificate. */
  operator: string;
  /** The federation was started: its name stays. */
  isFixed: () => boolean;
}

type ServiceAccountRights = NonNullable<NonNullable<FederationSpec["auth"]>["tokenReview"]>["accounts"][number];
type Tls = NonNullable<FederationSpec["tls"]>;
export interface CertificateWish {
  box: { name: string; uid: string; role: string };
  tls: Tls | undefined;
  /** Of the box, as the cache shows it. */
  cached: KubeObject | undefined;
}

export class Identities {
  readonly #needs: IdentityNeeds;
  readonly authority: AuthorityStore;
  #operator: { leaf: Credentials; issuerName: string } | undefined;
  readonly #given: GivenSecrets;
  /** What clients are to trust where somebody else issues. */
  #givenCa = "";

  constructor(needs: IdentityNeeds) {
    this.#needs = needs;
    this.authority = new AuthorityStore(needs);
    this.#given = new GivenSecrets(needs);
  }

  /** The operator's own credentials, renewed. Undefined while somebody else has yet to issue them. */
  async operator(tls: Tls | undefined): Promise<Credentials | undefined> {
    if (isOwn(tls)) {
      const { issuer, issuerName, ca, crl } = await this.authority.open();
      const nowMs = this.#needs.clock.wallMs();
      let own = this.#operator;
      if (own === undefined || !lasts(expiresAtMs(own.leaf), nowMs) || own.issuerName !== issuerName)
        own = { leaf: await issuer.issue({ kind: "operator", id: this.#needs.operator }, { nowMs }), issuerName };
      if (own.leaf.ca !== ca || own.leaf.crl !== crl) own = { ...own, leaf: { ...own.leaf, ca, crl } };
      this.#operator = own;
      return own.leaf;
    }
    if (tls?.source === "CertManager")
      await this.#request(operatorCertificateName, "operator", this.#needs.operator, tls);
    const secret = await this.#given.whole(operatorCertificateName, isWhole);
    const given = secret && credentialsOf(secret);
    this.#givenCa = given?.ca ?? this.#givenCa;
    return given;
  }

  /** Sees to the box's Secret. The answer is why it is not usable yet, one clause; undefined when it is. */
  async box({ box, tls, cached }: CertificateWish): Promise<string | undefined> {
    const name = certificateName(box.name);
    if (!isOwn(tls)) {
      if (tls?.source === "CertManager") await this.#request(name, "box", box.name, tls);
      if ((await this.#given.whole(name, isWhole)) !== undefined) return undefined;
      return tls?.source === "CertManager"
        ? `cert-manager has not issued Secret ${name} yet`
        : `Secret ${name} with ca.crt, tls.crt and tls.key is missing`;
    }
    const trust = await this.authority.open();
    const now = this.#needs.clock.wallMs();
    const { kept, endsMs, issuerName } = leafOf(cached);
    const good = kept !== undefined && issuerName === trust.issuerName && lasts(endsMs, now);
    if (good && this.isCurrent(cached, trust)) return undefined;
    const { client, namespace, federation } = this.#needs;
    const hosts = this.#hostsOf(box.name);
    const leaf = good ? kept : await trust.issuer.issue({ kind: "box", id: box.name }, { nowMs: now, hosts });
    const next = { ...leaf, ca: trust.ca, crl: trust.crl };
    await client.apply(resourceTypes.secret, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: {
        name,
        namespace,
        labels: labelsOf(federation, box),
        annotations: { [boxUidAnnotation]: box.uid },
      },
      type: "kubernetes.io/tls",
      data: encoded(secretTexts(next)),
    });
    return undefined;
  }

  /** The owner's token, drawn on first use, and the table of hashes and rights. Both outlive every box. */
  async token(
    cached: { token: KubeObject | undefined; access: KubeObject | undefined },
    accounts: readonly ServiceAccountRights[] = [],
  ): Promise<void> {
    const { client, applier, random, namespace, federation } = this.#needs;
    const metadata = (name: string) => ({ name, namespace, labels: labelsOf(federation) });
    const fresh = (): KubeObject => ({
      apiVersion: "v1",
      kind: "Secret",
      metadata: metadata(tokenName),
      type: "Opaque",
      data: encoded({
        token: Buffer.from(random.bytes(ownerTokenBytes)).toString("base64url"),
        federation,
        endpoint: `${serviceHost(federationServiceName, namespace)}:${boxPorts.client}`,
      }),
    });
    const secret = cached.token ?? (await this.#createOnce(fresh()));
    const entry = {
      name: ownerPrincipal,
      federation,
      sha256: createHash("sha256").update(textOf(secret, "token")).digest("hex"),
      grants: [{ prefix: "/", rights: ["admin"] }],
    };
    // Further tokens may be added by hand under other keys of the same Secret; the table is the operator's.
    const table = `${JSON.stringify({ tokens: [entry], users: usersOf(accounts) }, null, 2)}\n`;
    const access: KubeObject = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: metadata(accessName),
      type: "Opaque",
      data: { "tokens.json": Buffer.from(table).toString("base64") },
    };
    await applier.apply(resourceTypes.secret, access, cached.access);
    const trusted = this.authority.trusted ?? this.#givenCa;
    if (trusted !== "" && textOf(secret, "ca.crt") !== trusted) {
      const data = { "ca.crt": Buffer.from(trusted).toString("base64") };
      await client.patch(resourceTypes.secret, inNamespace(namespace, tokenName), { data });
    }
  }

  #hostsOf(box: string): string[] {
    const { namespace } = this.#needs;
    const services = [peerServiceName(box), clientServiceName(box), federationServiceName];
    return services.flatMap((service) => {
      const host = serviceHost(service, namespace);
      return [service, `${service}.${namespace}`, host, `${host}.cluster.local`];
    });
  }

  /** The Secret of a box holds what the phase gives it. */
  isCurrent(secret: KubeObject | undefined, trust: Trust): boolean {
    const { kept, issuerName } = leafOf(secret);
    return kept !== undefined && kept.ca === trust.ca && kept.crl === trust.crl && issuerName === trust.issuerName;
  }

  /**
   * Credentials with which only a box that has taken up the phase can be talked to: of the authority to come while it is
   * introduced, and trusting the new one alone while the former is to be dropped.
   */
  async proofOf({ phase, issuer, next, ca, crl }: Trust): Promise<Credentials> {
    const nowMs = this.#needs.clock.wallMs();
    const leaf = await (next ?? issuer).issue({ kind: "operator", id: this.#needs.operator }, { nowMs });
    return phase === "introduced" ? { ...leaf, ca, crl } : leaf;
  }

  /** What is there, when somebody was quicker. */
  async #createOnce(secret: KubeObject): Promise<KubeObject> {
    const { client } = this.#needs;
    try {
      return await client.create(resourceTypes.secret, secret);
    } catch (error) {
      if (!isKubeError(error, "ALREADY_EXISTS")) throw error;
      const name = inNamespace(this.#needs.namespace, secret.metadata.name);
      const kept = await client.get(resourceTypes.secret, name);
      if (kept === undefined) throw error;
      return kept;
    }
  }

  /** A Certificate of cert-manager. */
  async #request(secretName: string, kind: "box" | "operator", id: string, tls: Tls): Promise<void> {
    const { namespace, federation } = this.#needs;
    await this.#given.request({
      apiVersion: "cert-manager.io/v1",
      kind: "Certificate",
      metadata: { name: secretName, namespace, labels: labelsOf(federation) },
      spec: {
        secretName,
        duration: "2160h",
        renewBefore: "720h",
        privateKey: { algorithm: "ECDSA", size: 256, rotationPolicy: "Always" },
        usages:
          kind === "box" ? ["digital signature", "server auth", "client auth"] : ["digital signature", "client auth"],
        uris: [`spiffe://${federation}/${kind}/${id}`],
        ...(kind === "box" ? { dnsNames: this.#hostsOf(id) } : {}),
        issuerRef: { group: "cert-manager.io", ...tls.issuerRef },
      },
    });
  }
}

/** As the API server names accounts, and the group of all of a namespace. */
function usersOf(accounts: readonly ServiceAccountRights[]) {
  return accounts.map(({ account, grants }) => {
    const [namespace, name] = account.split("/");
    const user = name === "*" ? `system:serviceaccounts:${namespace}` : `system:serviceaccount:${namespace}:${name}`;
    return { name: user, grants };
  });
}

/** The operator issues, and nobody else. */
export function isOwn(tls: Tls | undefined): boolean {
  return tls === undefined || tls.source === "Operator";
}

function lasts(expiresAtMs: number, nowMs: number): boolean {
  return expiresAtMs - nowMs > leafLifeMs * renewBelow;
}

interface Leaf {
  kept: Credentials | undefined;
  endsMs: number;
  issuerName: string;
}
const noLeaf: Leaf = { kept: undefined, endsMs: 0, issuerName: "" };
/** Objects of a cache never change, and to read a certificate is dear. */
const leaves = new WeakMap<KubeObject, Leaf>();

function leafOf(secret: KubeObject | undefined): Leaf {
  if (secret === undefined) return noLeaf;
  let leaf = leaves.get(secret);
  if (leaf === undefined) {
    leaf = readLeaf(credentialsOf(secret));
    leaves.set(secret, leaf);
  }
  return leaf;
}

/** What is no certificate counts as none. */
function readLeaf(kept: Credentials | undefined): Leaf {
  if (kept === undefined) return noLeaf;
  try {
    const { issuer, validTo } = new X509Certificate(kept.certificate);
    return { kept, endsMs: Date.parse(validTo), issuerName: issuer };
  } catch {
    return noLeaf;
  }
}

function isWhole(secret: KubeObject): boolean {
  return credentialsOf(secret) !== undefined;
}

function secretTexts({ ca, certificate, key, crl }: Credentials): Record<string, string> {
  return { "ca.crt": ca, "tls.crt": certificate, "tls.key": key, ...(crl === undefined ? {} : { "ca.crl": crl }) };
}

/** Undefined when it is not whole. */
function credentialsOf(secret: KubeObject): Credentials | undefined {
  const [ca, certificate, key, crl] = ["ca.crt", "tls.crt", "tls.key", "ca.crl"].map((name) => textOf(secret, name));
  if (!ca || !certificate || !key) return undefined;
  return { ca, certificate, key, ...(crl ? { crl } : {}) };
}
