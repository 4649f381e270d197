// Certificates and the owner's token of a federation in a namespace. The authority is a Secret that outlives every box;
// leaves are Secrets of the boxes, issued again when a third of their life is left. Where cert-manager or a person issues
// them, the operator only reads.
import { createHash } from "node:crypto";
import type { Clock, Random } from "@nexus-federation/node/base/clock.ts";
import { NexusError } from "@nexus-federation/node/base/errors.ts";
import {
  Authority,
  type AuthorityTexts,
  leafLifeMs,
  revocationListLifeMs,
} from "@nexus-federation/node/transport/authority.ts";
import { type Credentials, expiresAtMs } from "@nexus-federation/node/transport/credentials.ts";
import type { FederationSpec } from "../../api/federation.ts";
import type { KubeClient } from "../../runtime/api.ts";
import type { Applier } from "../../runtime/applier.ts";
import { isKubeError } from "../../runtime/kube-error.ts";
import type { KubeObject } from "../../runtime/objects.ts";
import { resourceTypes } from "../../runtime/resource-types.ts";
import { ownerPrincipal, ownerTokenBytes, renewBelow } from "../shared/credentials.ts";
import { GivenSecrets } from "./given-secrets.ts";
import {
  accessName,
  authorityName,
  boxPorts,
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
  #authority: Authority | undefined;
  #operator: Credentials | undefined;
  readonly #given: GivenSecrets;
  /** What clients are to trust where somebody else issues. */
  #givenCa = "";

  constructor(needs: IdentityNeeds) {
    this.#needs = needs;
    this.#given = new GivenSecrets(needs);
  }

  /** The operator's own credentials, renewed. Undefined while somebody else has yet to issue them. */
  async operator(tls: Tls | undefined): Promise<Credentials | undefined> {
    if (isOwn(tls)) {
      const authority = await this.#open();
      const now = this.#needs.clock.wallMs();
      if (
        this.#operator === undefined ||
        !lasts(expiresAtMs(this.#operator), now) ||
        this.#operator.ca !== authority.certificatePem
      )
        this.#operator = await authority.issue({ kind: "operator", id: this.#needs.operator }, { nowMs: now });
      if (this.#operator.crl !== authority.crlPem) this.#operator = { ...this.#operator, crl: authority.crlPem };
      return this.#operator;
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
    const authority = await this.#open();
    const now = this.#needs.clock.wallMs();
    const { kept, expiresAtMs } = leafOf(cached);
    const good = kept !== undefined && kept.ca === authority.certificatePem && lasts(expiresAtMs, now);
    if (good && kept.crl === authority.crlPem) return undefined;
    const { client, namespace, federation } = this.#needs;
    const hosts = this.#hostsOf(box.name);
    const next = good
      ? { ...kept, crl: authority.crlPem }
      : await authority.issue({ kind: "box", id: box.name }, { nowMs: now, hosts });
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
    const trusted = this.#authority?.certificatePem ?? this.#givenCa;
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

  /** The authority of the namespace; made once, whoever comes first. */
  async #open(): Promise<Authority> {
    const { client, clock, namespace, federation } = this.#needs;
    if (this.#authority === undefined) {
      const name = inNamespace(namespace, authorityName);
      const kept = await client.get(resourceTypes.secret, name);
      const secret = kept ?? (await this.#createOnce(await this.#newAuthority()));
      const found = await Authority.of(authorityTexts(secret));
      if (found.federation === federation) this.#authority = found;
      else if (!this.#needs.isFixed()) {
        // The Federation came after the first boxes: nothing has begun under the former name.
        await client.delete(resourceTypes.secret, name, { uid: secret.metadata.uid ?? "" });
        return this.#open();
      } else {
        const text = `Secret ${authorityName} is the authority of federation ${found.federation}, not of ${federation}; one namespace holds one federation for life`;
        throw new NexusError("INVALID", text);
      }
    }
    const now = clock.wallMs();
    if (this.#authority.listExpiresAtMs - now < revocationListLifeMs * renewBelow) {
      await this.#authority.renewList(now);
      const data = encoded(await this.#authority.texts());
      await client.patch(resourceTypes.secret, inNamespace(namespace, authorityName), { data });
    }
    return this.#authority;
  }

  async #newAuthority(): Promise<KubeObject> {
    const { clock, namespace, federation } = this.#needs;
    const authority = await Authority.create(federation, clock.wallMs());
    return {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: authorityName, namespace, labels: labelsOf(federation) },
      type: "Opaque",
      data: encoded(await authority.texts()),
    };
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

function isOwn(tls: Tls | undefined): boolean {
  return tls === undefined || tls.source === "Operator";
}

function lasts(expiresAtMs: number, nowMs: number): boolean {
  return expiresAtMs - nowMs > leafLifeMs * renewBelow;
}

interface Leaf {
  kept: Credentials | undefined;
  expiresAtMs: number;
}
/** Objects of a cache never change, and to read a certificate is dear. */
const leaves = new WeakMap<KubeObject, Leaf>();

function leafOf(secret: KubeObject | undefined): Leaf {
  if (secret === undefined) return { kept: undefined, expiresAtMs: 0 };
  let leaf = leaves.get(secret);
  if (leaf === undefined) {
    const kept = credentialsOf(secret);
    leaf = { kept, expiresAtMs: kept === undefined ? 0 : expiresAtMs(kept) };
    leaves.set(secret, leaf);
  }
  return leaf;
}

function textOf(secret: KubeObject, key: string): string {
  const data = (secret["data"] ?? {}) as Record<string, string>;
  return Buffer.from(data[key] ?? "", "base64").toString("utf8");
}

function isWhole(secret: KubeObject): boolean {
  return credentialsOf(secret) !== undefined;
}

function encoded(texts: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, Buffer.from(text).toString("base64")]));
}

function authorityTexts(secret: KubeObject): AuthorityTexts {
  const names = ["ca.crt", "ca.key", "ca.crl", "ca.json"] as const;
  return Object.fromEntries(names.map((name) => [name, textOf(secret, name)])) as AuthorityTexts;
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
