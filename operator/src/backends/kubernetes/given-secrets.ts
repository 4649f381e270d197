// Certificates that somebody else issues: a person, or cert-manager. Their Secrets carry no label of the operator, so no
// cache shows them; they are read live, and not more often than they can matter.
import type { Clock } from "@nexus-federation/node/base/clock.ts";
import type { KubeClient } from "../../runtime/api.ts";
import type { KubeObject } from "../../runtime/objects.ts";
import { resourceTypes } from "../../runtime/resource-types.ts";

/** A Secret that was whole is read again after this long, one that was missing sooner, ms. */
const wholeMs = 30_000;
const missingMs = 2_000;
/** A request that has not changed is applied again after this long, in case somebody else changed it, ms. */
const requestMs = 10 * 60_000;

export class GivenSecrets {
  readonly #needs: { client: KubeClient; clock: Clock; namespace: string };
  readonly #read = new Map<string, { secret: KubeObject | undefined; againAtMs: number }>();
  readonly #requested = new Map<string, { text: string; againAtMs: number }>();

  constructor(needs: { client: KubeClient; clock: Clock; namespace: string }) {
    this.#needs = needs;
  }

  /** The Secret when `isWhole` accepts it. */
  async whole(name: string, isWhole: (secret: KubeObject) => boolean): Promise<KubeObject | undefined> {
    const { client, clock, namespace } = this.#needs;
    const before = this.#read.get(name);
    if (before !== undefined && clock.now() < before.againAtMs) return before.secret;
    const live = await client.get(resourceTypes.secret, { namespace, name });
    const secret = live !== undefined && isWhole(live) ? live : undefined;
    this.#read.set(name, { secret, againAtMs: clock.now() + (secret === undefined ? missingMs : wholeMs) });
    return secret;
  }

  /** Applies a Certificate of cert-manager. */
  async request(certificate: KubeObject): Promise<void> {
    const { client, clock } = this.#needs;
    const { name } = certificate.metadata;
    const text = JSON.stringify(certificate);
    const before = this.#requested.get(name);
    if (before?.text === text && clock.now() < before.againAtMs) return;
    await client.apply(resourceTypes.certificate, certificate);
    this.#requested.set(name, { text, againAtMs: clock.now() + requestMs });
  }
}
