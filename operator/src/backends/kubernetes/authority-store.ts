// The certificate authority of a federation in its Secret, and the way from one authority to the next. The problem: every
// box verifies every other, and they read their Secrets at different times; a new authority that is simply put in the
// place of the old one cuts the federation in pieces. The sketch: three phases, each one patch of the Secret, so that
// whoever takes over goes on. `steady`: one authority. `introduced`: a second one is trusted and issues nothing yet.
// `issuing`: it issues, and the former is trusted still. Who moves on, and when, is authority-rotation.ts's business.
import { X509Certificate } from "node:crypto";
import type { Clock } from "@nexus-federation/node/base/clock.ts";
import { NexusError } from "@nexus-federation/node/base/errors.ts";
import { Authority, type AuthorityTexts, revocationListLifeMs } from "@nexus-federation/node/transport/authority.ts";
import type { KubeClient } from "../../runtime/api.ts";
import { isKubeError } from "../../runtime/kube-error.ts";
import type { KubeObject } from "../../runtime/objects.ts";
import { resourceTypes } from "../../runtime/resource-types.ts";
import { renewBelow } from "../shared/credentials.ts";
import { authorityName, inNamespace, labelsOf } from "./names.ts";
import { encoded, textOf } from "./secret-texts.ts";

export type AuthorityPhase = "steady" | "introduced" | "issuing";

/** What certificates are issued and verified with now. */
export interface Trust {
  phase: AuthorityPhase;
  issuer: Authority;
  /** Name of the issuer in its leaves. */
  issuerName: string;
  /** Certificates of every authority that is trusted, PEM. */
  ca: string;
  /** Their revocation lists, PEM. */
  crl: string;
  /** The authority to come: introduced only. */
  next: Authority | undefined;
}

interface Held {
  issuer: Authority;
  issuerName: string;
  next: Authority | undefined;
  /** What is left of the authority before: nothing is issued with it any more. */
  former: { ca: string; crl: string } | undefined;
}

export interface StoreNeeds {
  client: KubeClient;
  clock: Clock;
  namespace: string;
  federation: string;
  /** The federation was started: its name stays. */
  isFixed: () => boolean;
}

const parts = ["ca.crt", "ca.key", "ca.crl", "ca.json"] as const;
/** Keys of the Secret for the authority to come, and for what is left of the one before. */
const nextKey = (part: string) => part.replace("ca.", "next.");
const formerKeys = { ca: "former.crt", crl: "former.crl" } as const;

export class AuthorityStore {
  readonly #needs: StoreNeeds;
  #held: Held | undefined;

  constructor(needs: StoreNeeds) {
    this.#needs = needs;
  }

  /** What boxes and clients are to trust; undefined before the first `open`. */
  get trusted(): string | undefined {
    return this.#held && trustOf(this.#held).ca;
  }

  get phase(): AuthorityPhase {
    return this.#held === undefined ? "steady" : trustOf(this.#held).phase;
  }

  /** The authority of the namespace; made once, whoever comes first. */
  async open(): Promise<Trust> {
    this.#held ??= await this.#read();
    await this.#renewLists(this.#held);
    return trustOf(this.#held);
  }

  /** Puts back the Secret that somebody deleted; undefined when it is there or nothing is known of it here. */
  async restore(): Promise<KubeObject | undefined> {
    const held = this.#held;
    if (held === undefined) return undefined;
    const { issuer, next, former } = held;
    const texts = {
      ...(await issuer.texts()),
      ...(next && prefixed(await next.texts())),
      ...(former && { [formerKeys.ca]: former.ca, [formerKeys.crl]: former.crl }),
    };
    try {
      return await this.#needs.client.create(resourceTypes.secret, this.#secretWith(texts));
    } catch (error) {
      // The view may be older than the Secret.
      if (isKubeError(error, "ALREADY_EXISTS")) return undefined;
      throw error;
    }
  }

  /** A second authority, trusted from now on. */
  async introduce(): Promise<void> {
    const held = this.#held ?? (await this.#read());
    const nowMs = this.#needs.clock.wallMs();
    const mark = new Date(nowMs).toISOString();
    const next = await Authority.create(this.#needs.federation, nowMs, mark);
    await this.#patch(prefixed(await next.texts()));
    this.#held = { ...held, next };
  }

  /** The second authority issues from now on. */
  async promote(): Promise<void> {
    const { issuer, next } = this.#held ?? {};
    if (issuer === undefined || next === undefined) return;
    const former = { ca: issuer.certificatePem, crl: issuer.crlPem };
    const gone = Object.fromEntries(parts.map((part) => [nextKey(part), null]));
    const kept = { [formerKeys.ca]: former.ca, [formerKeys.crl]: former.crl };
    await this.#patch({ ...(await next.texts()), ...kept }, gone);
    this.#held = { issuer: next, issuerName: subjectOf(next.certificatePem), next: undefined, former };
  }

  /** The former authority is trusted no more; what asked for all this is gone with it. */
  async finish(annotation: string): Promise<void> {
    const held = this.#held;
    if (held === undefined) return;
    const gone = { [formerKeys.ca]: null, [formerKeys.crl]: null };
    await this.#patch({}, gone, { annotations: { [annotation]: null } });
    this.#held = { ...held, former: undefined };
  }

  async #read(): Promise<Held> {
    const { client, namespace, federation } = this.#needs;
    const name = inNamespace(namespace, authorityName);
    const kept = await client.get(resourceTypes.secret, name);
    const secret = kept ?? (await this.#createOnce(await this.#newSecret()));
    const issuer = await Authority.of(textsOf(secret, (part) => part));
    if (issuer.federation === federation) {
      const next = textOf(secret, "next.json") === "" ? undefined : await Authority.of(textsOf(secret, nextKey));
      const [ca, crl] = [textOf(secret, formerKeys.ca), textOf(secret, formerKeys.crl)];
      const issuerName = subjectOf(issuer.certificatePem);
      return { issuer, issuerName, next, former: ca === "" ? undefined : { ca, crl } };
    }
    if (this.#needs.isFixed()) {
      const text = `Secret ${authorityName} is the authority of federation ${issuer.federation}, not of ${federation}; one namespace holds one federation for life`;
      throw new NexusError("INVALID", text);
    }
    // The Federation came after the first boxes: nothing has begun under the former name.
    await client.delete(resourceTypes.secret, name, { uid: secret.metadata.uid ?? "" });
    return this.#read();
  }

  async #renewLists(held: Held): Promise<void> {
    const now = this.#needs.clock.wallMs();
    const isDue = ({ listExpiresAtMs }: Authority) => listExpiresAtMs - now < revocationListLifeMs * renewBelow;
    const { issuer, next } = held;
    if (isDue(issuer)) {
      await issuer.renewList(now);
      await this.#patch(await issuer.texts());
    }
    if (next !== undefined && isDue(next)) {
      await next.renewList(now);
      await this.#patch(prefixed(await next.texts()));
    }
  }

  async #newSecret(): Promise<KubeObject> {
    const authority = await Authority.create(this.#needs.federation, this.#needs.clock.wallMs());
    return this.#secretWith({ ...(await authority.texts()) });
  }

  #secretWith(texts: Readonly<Record<string, string>>): KubeObject {
    const { namespace, federation } = this.#needs;
    return {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: authorityName, namespace, labels: labelsOf(federation) },
      type: "Opaque",
      data: encoded(texts),
    };
  }

  /** What is there, when somebody was quicker. */
  async #createOnce(secret: KubeObject): Promise<KubeObject> {
    const { client, namespace } = this.#needs;
    try {
      return await client.create(resourceTypes.secret, secret);
    } catch (error) {
      if (!isKubeError(error, "ALREADY_EXISTS")) throw error;
      const kept = await client.get(resourceTypes.secret, inNamespace(namespace, authorityName));
      if (kept === undefined) throw error;
      return kept;
    }
  }

  async #patch(texts: Record<string, string>, gone: Record<string, null> = {}, metadata?: object): Promise<void> {
    const { client, namespace } = this.#needs;
    const patch = { data: { ...encoded(texts), ...gone }, ...(metadata === undefined ? {} : { metadata }) };
    await client.patch(resourceTypes.secret, inNamespace(namespace, authorityName), patch);
  }
}

function trustOf({ issuer, issuerName, next, former }: Held): Trust {
  const phase = next !== undefined ? "introduced" : former !== undefined ? "issuing" : "steady";
  const ca = [issuer.certificatePem, next?.certificatePem ?? former?.ca];
  const crl = [issuer.crlPem, next?.crlPem ?? former?.crl];
  const joined = (texts: (string | undefined)[]) => texts.filter((text) => text !== undefined).join("\n");
  return { phase, issuer, issuerName, next, ca: joined(ca), crl: joined(crl) };
}

function subjectOf(pem: string): string {
  return new X509Certificate(pem).subject;
}

function prefixed(texts: AuthorityTexts): Record<string, string> {
  return Object.fromEntries(parts.map((part) => [nextKey(part), texts[part]]));
}

function textsOf(secret: KubeObject, keyOf: (part: string) => string): AuthorityTexts {
  return Object.fromEntries(parts.map((part) => [part, textOf(secret, keyOf(part))])) as AuthorityTexts;
}
